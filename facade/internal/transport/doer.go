package transport

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// A Doer sends the requests of the generated client.
type Doer struct {
	Client *Client
	Base   *url.URL // credentials are sent to this origin only
}

// Do sends a copy of req for each attempt. The body of req is read into memory.
func (d Doer) Do(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		body, err = io.ReadAll(req.Body)
		_ = req.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	client := *d.Client
	if !sameOrigin(req.URL, d.Base) || isTokenRequest(req.URL) {
		client.Auth = nil
	}
	r := client.Do(req.Context(), func() (*http.Request, error) { //nolint:contextcheck // the context of req
		out := req.Clone(req.Context())
		if body != nil {
			out.ContentLength = int64(len(body))
			out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
			out.Body, _ = out.GetBody()
		}
		return out, nil
	})
	if r.Err != nil {
		return nil, r.Err
	}
	r.Response.Body = io.NopCloser(bytes.NewReader(r.Body)) // never released
	return r.Response, nil
}

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Host, b.Host)
}

// isTokenRequest reports whether a request has its credential in the body. The
// slashes of an ID are escaped.
func isTokenRequest(u *url.URL) bool {
	path := u.EscapedPath()
	return strings.HasSuffix(path, "/auth/api-key") || strings.HasSuffix(path, "/auth/refresh")
}
