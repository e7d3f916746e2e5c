package facadetest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
)

// A response is held in memory until its fault has been applied.
type response struct {
	status int
	header http.Header
	body   []byte
}

// serve returns the response of a handler to a request with this body.
func serve(handler http.Handler, r *http.Request, body []byte) response {
	clone := *r
	clone.Body = io.NopCloser(bytes.NewReader(body))
	rec := httptest.NewRecorder()
	handler.ServeHTTP(rec, &clone)
	return response{status: rec.Code, header: rec.Header(), body: rec.Body.Bytes()}
}

// bodyAllowed reports whether a response with this status can have a body.
func bodyAllowed(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified
}
