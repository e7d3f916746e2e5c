package transport

import (
	"context"
	"encoding/base64"
)

// An Authenticator supplies credentials, also concurrently.
type Authenticator interface {
	// Credential returns the value of the Authorization header for an attempt, and
	// may wait for a token. A failed token request is a *TokenError.
	Credential(ctx context.Context) (string, error)
	// Reject reports a 401 for a credential, and returns whether a new credential
	// may succeed. If final is set, the request will not be sent again.
	Reject(credential string, final bool) (retry bool)
}

// Basic returns an Authenticator that sends key as the user name.
func Basic(key string) Authenticator {
	return &basic{"Basic " + base64.StdEncoding.EncodeToString([]byte(key+":"))}
}

// basic is used by pointer. Package fmt therefore prints an address instead of the
// credential.
type basic struct{ credential string }

func (b *basic) Credential(context.Context) (string, error) { return b.credential, nil }
func (b *basic) Reject(string, bool) bool                   { return false }
