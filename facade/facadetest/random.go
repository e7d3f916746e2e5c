package facadetest

import "crypto/rand"

// randomText returns n random letters and digits.
func randomText(n int) string {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	// Bytes beyond the last multiple would make the first letters more likely.
	const limit = 256 - 256%len(alphabet)
	text := make([]byte, 0, n)
	var b [1]byte
	for len(text) < n {
		_, _ = rand.Read(b[:]) // never fails
		if int(b[0]) < limit {
			text = append(text, alphabet[int(b[0])%len(alphabet)])
		}
	}
	return string(text)
}
