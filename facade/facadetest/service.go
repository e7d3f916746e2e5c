package facadetest

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/apivideo-community/webhooks-go/gen"
)

// The methods of service are those of the contract: when openapi.yaml changes,
// this no longer compiles until the server changes too.
var _ gen.StrictServerInterface = (*service)(nil)

// A service is what the server does, apart from the faults it is made to have.
type service struct {
	config
	apiKey string
	router *http.ServeMux
	limit  rateLimit

	mu     sync.Mutex
	stored []gen.Webhook // oldest first
	tokens tokens
}

func newService(c config, apiKey string) *service {
	s := &service{
		config: c,
		apiKey: apiKey,
		router: http.NewServeMux(),
		limit:  rateLimit{now: c.now, reads: window{limit: c.reads}, writes: window{limit: c.writes}},
		tokens: tokens{expiry: map[digest]time.Time{}, refresh: map[digest]bool{}},
	}
	strict := gen.NewStrictHandlerWithOptions(s, nil, gen.StrictHTTPServerOptions{
		RequestErrorHandlerFunc:  writePayloadError,
		ResponseErrorHandlerFunc: writeServerError,
	})
	gen.HandlerWithOptions(strict, gen.StdHTTPServerOptions{
		BaseRouter:       s.router,
		Middlewares:      []gen.MiddlewareFunc{checkPayload},
		ErrorHandlerFunc: writeParamError,
	})
	return s
}

// ServeHTTP checks what is the same for all operations. Unlike the router it
// doesn't redirect, and it answers in JSON for paths and methods that it doesn't
// know.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	limited := isLimited(r)
	if limited && !s.limit.admit(r.Method, w.Header()) {
		writeError(w, errTooManyRequests)
		return
	}
	methods := methodsOf(r.URL.EscapedPath())
	if methods == nil {
		writeError(w, errUnknownRoute)
		return
	}
	if !slices.Contains(methods, r.Method) {
		writeError(w, errMethodNotAllowed)
		return
	}
	if limited {
		if e, ok := s.authenticate(r); !ok {
			writeError(w, e)
			return
		}
	}
	if _, pattern := s.router.Handler(r); pattern == "" {
		// The router takes any segment for an id, but not a single escaped slash.
		writeError(w, errNotFound("webhookId"))
		return
	}
	s.router.ServeHTTP(w, r)
}

// isLimited tells whether a request counts against the rate limit and needs
// credentials. Those that ask for tokens don't.
func isLimited(r *http.Request) bool {
	return !strings.HasPrefix(r.URL.EscapedPath(), "/auth/")
}

// methodsOf returns the methods that the route of an escaped path takes, nil if
// there is no such route.
func methodsOf(path string) []string {
	switch path {
	case "/webhooks":
		return []string{http.MethodGet, http.MethodPost}
	case "/auth/api-key", "/auth/refresh":
		return []string{http.MethodPost}
	}
	id, ok := strings.CutPrefix(path, "/webhooks/")
	if !ok || id == "" || id == "." || id == ".." || strings.Contains(id, "/") {
		return nil
	}
	return []string{http.MethodGet, http.MethodDelete}
}

// randomText returns n random letters and digits.
func randomText(n int) string {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	// Bytes beyond the last multiple would make the first letters likelier.
	const bound = 256 - 256%len(alphabet)
	text := make([]byte, 0, n)
	var b [1]byte
	for len(text) < n {
		_, _ = rand.Read(b[:]) // never fails
		if int(b[0]) < bound {
			text = append(text, alphabet[int(b[0])%len(alphabet)])
		}
	}
	return string(text)
}
