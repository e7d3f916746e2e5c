// Package contract validates HTTP exchanges against openapi.yaml with a
// third-party validator. Only _test files may import the package.
package contract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// maxBody is the maximum size of a validated body. The bodies of the contract
// are much smaller, and a longer body may be endless.
const maxBody = 1 << 20

// Load returns openapi.yaml. All callers share one document and
// must not change it.
func Load(tb testing.TB) *openapi3.T {
	tb.Helper()
	doc, err := load()
	if err != nil {
		tb.Fatalf("load openapi.yaml: %v", err)
	}
	return doc
}

// Transport returns a RoundTripper that forwards requests to next and validates
// requests and responses against openapi.yaml. The server URL is ignored, so a
// test can run its own server.
//
// Transport reports violations with Errorf, in the goroutine of the request. It
// forwards every request and response unchanged. A truncated body or a body of
// more than 1 MiB is forwarded too, but not validated.
func Transport(tb testing.TB, next http.RoundTripper) http.RoundTripper {
	tb.Helper()
	return newTransport(tb, next, true, true)
}

// Requests is like [Transport] but validates requests only. It is for a test
// with an invalid response and does not read the response.
func Requests(tb testing.TB, next http.RoundTripper) http.RoundTripper {
	tb.Helper()
	return newTransport(tb, next, true, false)
}

// Responses is like [Transport] but validates responses only. It is for a test
// with an invalid request and does not read the request. The response to a
// request without an operation is not validated.
func Responses(tb testing.TB, next http.RoundTripper) http.RoundTripper {
	tb.Helper()
	return newTransport(tb, next, false, true)
}

func newTransport(tb testing.TB, next http.RoundTripper, requests, responses bool) *transport {
	tb.Helper()
	router, err := newRouter()
	if err != nil {
		tb.Fatalf("route openapi.yaml: %v", err)
	}
	return &transport{tb: tb, next: next, router: router, requests: requests, responses: responses}
}

var load = sync.OnceValues(func() (*openapi3.T, error) {
	root, err := findRoot()
	if err != nil {
		return nil, err
	}
	return openapi3.NewLoader().LoadFromFile(filepath.Join(root, "openapi.yaml"))
})

// findRoot returns the directory of the module. Tests run in the directory of
// their package, which is in the module.
func findRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod in %s or its parent directories", start)
		}
	}
}

var newRouter = sync.OnceValues(func() (routers.Router, error) {
	doc, err := load()
	if err != nil {
		return nil, err
	}
	anyServer := *doc
	anyServer.Servers = nil
	return gorillamux.NewRouter(&anyServer)
})

var options = &openapi3filter.Options{
	AuthenticationFunc:                authenticate,
	RejectWhenRequestBodyNotSpecified: true,
}

type transport struct {
	tb                  testing.TB
	next                http.RoundTripper
	router              routers.Router
	requests, responses bool // reports whether they are validated
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := req.Clone(req.Context())
	input, err := t.route(req)
	if t.requests {
		var body content
		sent.Body, body = readBody(req.Body)
		if err == nil {
			err = checkRequest(input, body)
		}
		if err != nil {
			t.tb.Errorf("%s %s: the request violates openapi.yaml: %v", req.Method, req.URL.Path, err)
		}
	}

	resp, err := t.next.RoundTrip(sent)
	if err != nil {
		return resp, err
	}
	resp.Request = req
	if !t.responses || input == nil {
		return resp, nil
	}
	var body content
	resp.Body, body = readBody(resp.Body)
	if err := checkResponse(input, resp, body); err != nil {
		t.tb.Errorf("%s %s: the response %d violates openapi.yaml: %v", req.Method, req.URL.Path, resp.StatusCode, err)
	}
	return resp, nil
}

// route returns the validation input for the operation of req. It returns an
// error if req has no operation.
func (t *transport) route(req *http.Request) (*openapi3filter.RequestValidationInput, error) {
	route, params, err := t.router.FindRoute(req)
	if err != nil {
		return nil, err
	}
	checked := req.Clone(req.Context())
	checked.Body = nil // The validator must not read the body of req.
	return &openapi3filter.RequestValidationInput{Request: checked, PathParams: params, Route: route}, nil
}

func checkRequest(input *openapi3filter.RequestValidationInput, body content) error {
	input.Request.Body = io.NopCloser(bytes.NewReader(body.data))
	input.Request.ContentLength = int64(len(body.data))

	opts := *options
	opts.ExcludeRequestBody = !body.complete
	input.Options = &opts
	return errors.Join(
		openapi3filter.ValidateRequest(input.Request.Context(), input),
		checkUndocumented(input.Request, input.Route),
	)
}

// checkUndocumented finds parameters and credentials that the operation does
// not have. The validator ignores them.
func checkUndocumented(req *http.Request, route *routers.Route) error {
	var errs []error
	for name, values := range req.URL.Query() {
		if route.Operation.Parameters.GetByInAndName(openapi3.ParameterInQuery, name) == nil {
			errs = append(errs, fmt.Errorf("query parameter %q is not documented", name))
		}
		if len(values) > 1 {
			errs = append(errs, fmt.Errorf("query parameter %q is sent %d times", name, len(values)))
		}
	}
	security := route.Operation.Security
	if security != nil && len(*security) == 0 && len(req.Header.Values("Authorization")) > 0 {
		errs = append(errs, errors.New("the operation has no credentials, but the request has an Authorization header"))
	}
	return errors.Join(errs...)
}

func checkResponse(input *openapi3filter.RequestValidationInput, resp *http.Response, body content) error {
	// The validator skips some statuses, for example redirects, despite its
	// option to include them.
	documented := input.Route.Operation.Responses.Status(resp.StatusCode)
	if documented == nil {
		return errors.New("the status is not documented")
	}
	if len(documented.Value.Content) == 0 && len(body.data) > 0 {
		return errors.New("the response has a body, but none is documented")
	}

	opts := *options
	opts.ExcludeResponseBody = !body.complete
	return openapi3filter.ValidateResponse(input.Request.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input,
		Status:                 resp.StatusCode,
		Header:                 resp.Header,
		Body:                   io.NopCloser(bytes.NewReader(body.data)),
		Options:                &opts,
	})
}

// authenticate checks the form of the credentials. The server checks their
// values.
func authenticate(_ context.Context, input *openapi3filter.AuthenticationInput) error {
	req := input.RequestValidationInput.Request
	switch scheme := input.SecurityScheme.Scheme; scheme {
	case "basic":
		switch key, password, ok := req.BasicAuth(); {
		case !ok:
			return input.NewError(errors.New("the Basic credentials are missing"))
		case key == "":
			return input.NewError(errors.New("the user name, which is the API key, is empty"))
		case password != "":
			return input.NewError(errors.New("the password is not empty"))
		}
		return nil
	case "bearer":
		if token, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer "); !ok || strings.TrimSpace(token) == "" {
			return input.NewError(errors.New("the Bearer token is missing"))
		}
		return nil
	default:
		return input.NewError(fmt.Errorf("unknown security scheme %q", scheme))
	}
}

// content is the beginning of a body. It is complete unless the body failed or
// was longer than maxBody.
type content struct {
	data     []byte
	complete bool
}

// readBody reads body. The returned body has the same content and read error.
func readBody(body io.ReadCloser) (io.ReadCloser, content) {
	if body == nil || body == http.NoBody {
		return body, content{complete: true}
	}
	data, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	rest := io.Reader(body)
	if err != nil {
		rest = iotest.ErrReader(err)
	}
	restored := struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(data), rest), body}
	return restored, content{data: data, complete: err == nil && len(data) <= maxBody}
}
