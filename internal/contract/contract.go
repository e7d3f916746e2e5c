// Package contract holds HTTP exchanges against openapi.yaml, with a validator
// that was not made here. It is for tests: only _test files may import it.
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

// maxBody is how much of a body is read to be checked. A longer one is far
// beyond anything that the contract describes, and may never end.
const maxBody = 1 << 20

// Load returns openapi.yaml, validated. All callers share one document, so none
// may change it.
func Load(tb testing.TB) *openapi3.T {
	tb.Helper()
	doc, err := load()
	if err != nil {
		tb.Fatalf("load openapi.yaml: %v", err)
	}
	return doc
}

// Transport returns a RoundTripper that passes requests on to next and reports
// each one, and each response, that is not what openapi.yaml says. The server
// is left out of the comparison, so that a test can run its own.
//
// Bodies stay readable for both sides. One that is cut short, or that is longer
// than any the contract describes, reaches its reader just so; there is no
// whole body to check then, but everything else is checked still.
//
// Violations are reported with Errorf, from whichever goroutine sends the
// request, and nothing is sent or answered differently because of them.
func Transport(tb testing.TB, next http.RoundTripper) http.RoundTripper {
	tb.Helper()
	return newTransport(tb, next, true, true)
}

// Requests is [Transport] for a test whose server answers badly on purpose: it
// checks requests only, and doesn't touch the responses.
func Requests(tb testing.TB, next http.RoundTripper) http.RoundTripper {
	tb.Helper()
	return newTransport(tb, next, true, false)
}

// Responses is [Transport] for a test that sends badly on purpose: it checks
// responses only, and doesn't touch the requests. What answers a request that
// belongs to no operation is not checked, for nothing says what it should be.
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
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromFile(filepath.Join(root, "openapi.yaml"))
	if err != nil {
		return nil, err
	}
	return doc, doc.Validate(loader.Context)
})

// findRoot returns the module's folder. A test starts in that of its package,
// which is the module's or below it.
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
			return "", fmt.Errorf("neither %s nor a folder above it has a go.mod", start)
		}
	}
}

var newRouter = sync.OnceValues(func() (routers.Router, error) {
	doc, err := load()
	if err != nil {
		return nil, err
	}
	anywhere := *doc
	anywhere.Servers = nil
	return gorillamux.NewRouter(&anywhere)
})

var options = &openapi3filter.Options{
	AuthenticationFunc:                authenticate,
	RejectWhenRequestBodyNotSpecified: true,
}

type transport struct {
	tb                  testing.TB
	next                http.RoundTripper
	router              routers.Router
	requests, responses bool // which of them to check
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := req.Clone(req.Context())
	input, err := t.route(req)
	if t.requests {
		var body content
		sent.Body, body = peek(req.Body)
		if err == nil {
			err = checkRequest(input, body)
		}
		if err != nil {
			t.tb.Errorf("%s %s: the request is not what openapi.yaml says: %v", req.Method, req.URL.Path, err)
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
	resp.Body, body = peek(resp.Body)
	if err := checkResponse(input, resp, body); err != nil {
		t.tb.Errorf("%s %s: the response %d is not what openapi.yaml says: %v", req.Method, req.URL.Path, resp.StatusCode, err)
	}
	return resp, nil
}

// route returns what req and its response are to be checked with, unless req
// belongs to no operation at all.
func (t *transport) route(req *http.Request) (*openapi3filter.RequestValidationInput, error) {
	route, params, err := t.router.FindRoute(req)
	if err != nil {
		return nil, err
	}
	checked := req.Clone(req.Context())
	checked.Body = nil // The validator reads and replaces it: it must not be the one that is sent.
	return &openapi3filter.RequestValidationInput{Request: checked, PathParams: params, Route: route}, nil
}

func checkRequest(input *openapi3filter.RequestValidationInput, body content) error {
	input.Request.Body = io.NopCloser(bytes.NewReader(body.data))
	input.Request.ContentLength = int64(len(body.data))

	opts := *options
	opts.ExcludeRequestBody = !body.whole
	input.Options = &opts
	return errors.Join(
		openapi3filter.ValidateRequest(input.Request.Context(), input),
		checkUndocumented(input.Request, input.Route),
	)
}

// checkUndocumented looks for what a request has beyond its operation, which
// the validator passes over.
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
		errs = append(errs, errors.New("the operation takes no credentials, but there is an Authorization header"))
	}
	return errors.Join(errs...)
}

func checkResponse(input *openapi3filter.RequestValidationInput, resp *http.Response, body content) error {
	// The validator leaves out some statuses even if it is told to include them,
	// redirects among them.
	documented := input.Route.Operation.Responses.Status(resp.StatusCode)
	if documented == nil {
		return errors.New("status is not documented")
	}
	if len(documented.Value.Content) == 0 && len(body.data) > 0 {
		return errors.New("there is a body, but none is documented")
	}

	opts := *options
	opts.ExcludeResponseBody = !body.whole
	return openapi3filter.ValidateResponse(input.Request.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input,
		Status:                 resp.StatusCode,
		Header:                 resp.Header,
		Body:                   io.NopCloser(bytes.NewReader(body.data)),
		Options:                &opts,
	})
}

// authenticate checks that credentials have the form their scheme asks for.
// Whether they are right is the server's business.
func authenticate(_ context.Context, input *openapi3filter.AuthenticationInput) error {
	req := input.RequestValidationInput.Request
	switch scheme := input.SecurityScheme.Scheme; scheme {
	case "basic":
		switch key, password, ok := req.BasicAuth(); {
		case !ok:
			return input.NewError(errors.New("there are no Basic credentials"))
		case key == "":
			return input.NewError(errors.New("the user name, which is the API key, is empty"))
		case password != "":
			return input.NewError(errors.New("the password is not empty"))
		}
		return nil
	case "bearer":
		if token, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer "); !ok || strings.TrimSpace(token) == "" {
			return input.NewError(errors.New("there is no Bearer token"))
		}
		return nil
	default:
		return input.NewError(fmt.Errorf("security scheme %q is not known here", scheme))
	}
}

// content is what a body holds, as far as it was read. Unless it is whole, the
// body failed or went on.
type content struct {
	data  []byte
	whole bool
}

// peek reads body and returns another that reads the same and ends the same.
func peek(body io.ReadCloser) (io.ReadCloser, content) {
	if body == nil || body == http.NoBody {
		return body, content{whole: true}
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
	return restored, content{data: data, whole: err == nil && len(data) <= maxBody}
}
