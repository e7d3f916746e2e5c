package notification

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

// VerifyRequest reads the body of r and verifies it as Verify does, with the
// context of r. At most the limit of WithMaxBody is read. A longer body is
// ErrTooLarge, and a greater Content-Length is ErrTooLarge before reading.
//
// Every method is accepted. The body stays open, because the http.Server closes
// it. [StatusCode] returns the status to respond with.
func (v *Verifier) VerifyRequest(r *http.Request) (*Notification, error) {
	return v.verifyRequest(nil, r)
}

// verifyRequest closes the connection of w, if there is one, after a body over the
// limit.
func (v *Verifier) verifyRequest(w http.ResponseWriter, r *http.Request) (*Notification, error) {
	body, err := v.readBody(w, r)
	if err != nil {
		return nil, err
	}
	return v.Verify(r.Context(), r.Header, body)
}

func (v *Verifier) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	limit := int64(v.config.maxBody)
	if r.ContentLength > limit {
		return nil, tooLarge(r.ContentLength, limit)
	}
	if r.Body == nil { // of a request for a client
		return nil, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooMany *http.MaxBytesError
	switch {
	case errors.As(err, &tooMany): // of this limit or of a middleware's
		return nil, fmt.Errorf("apivideo: %w: more than %d bytes", ErrTooLarge, tooMany.Limit)
	case errors.Is(err, http.ErrBodyReadAfterClose):
		return nil, errBodyClosed
	case err != nil:
		return nil, fmt.Errorf("apivideo: %w: %w", errIncomplete, err)
	}
	return body, nil
}
