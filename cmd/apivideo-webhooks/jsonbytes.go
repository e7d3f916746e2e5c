package main

import (
	"bytes"
	"encoding/json"
)

// A field is a name and a value of an event.
type field struct{ name, value string }

// encodeFields returns a JSON object with its fields in order.
func encodeFields(fields []field) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range fields {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(encodeString(f.name))
		b.WriteByte(':')
		b.Write(encodeString(f.value))
	}
	b.WriteByte('}')
	return b.Bytes()
}

func encodeString(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string has a JSON form
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// unescape replaces the escapes that encoders add for HTML, for ASCII and before a
// slash. The input is compact JSON.
func unescape(compact []byte) []byte {
	var b bytes.Buffer
	dec := json.NewDecoder(bytes.NewReader(compact))
	dec.UseNumber()
	last := 0
	for {
		token, err := dec.Token()
		if err != nil {
			break
		}
		text, ok := token.(string)
		if !ok {
			continue
		}
		end := int(dec.InputOffset())
		start := last + bytes.IndexByte(compact[last:end], '"')
		b.Write(compact[last:start])
		b.Write(encodeString(text))
		last = end
	}
	b.Write(compact[last:])
	return b.Bytes()
}
