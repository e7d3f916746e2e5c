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
	Base   *url.URL // credentials are sent to URLs below this one only
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
	if !isBelow(req.URL, d.Base) {
		client.Sender, client.Auth = client.forOtherServer(), nil
	} else if isTokenRequest(req.URL) {
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

// isBelow reports whether u has the origin of base, and a path below that of base.
func isBelow(u, base *url.URL) bool {
	return u.Scheme == base.Scheme && strings.EqualFold(u.Host, base.Host) &&
		strings.HasPrefix(u.EscapedPath(), strings.TrimSuffix(base.EscapedPath(), "/")+"/")
}

// isTokenRequest reports whether a request has its credential in the body. The
// slashes of an ID are escaped.
func isTokenRequest(u *url.URL) bool {
	path := u.EscapedPath()
	return strings.HasSuffix(path, "/auth/api-key") || strings.HasSuffix(path, "/auth/refresh")
}
