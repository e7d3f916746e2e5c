package facadetest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/apivideo-community/webhooks-go/gen"
)

// The operations are those of the contract. A new operation in openapi.yaml is a
// compile error here.
var _ gen.StrictServerInterface = operations{}

type operations struct {
	*credentials
	*webhooks
}

// A service is the server without faults.
type service struct {
	credentials *credentials
	webhooks    *webhooks
	limit       rateLimit
	router      *http.ServeMux
}

func newService(c config) *service {
	s := &service{
		credentials: newCredentials(c.apiKey, c.now),
		webhooks:    &webhooks{config: c},
		limit:       rateLimit{now: c.now, reads: window{limit: c.reads}, writes: window{limit: c.writes}},
		router:      http.NewServeMux(),
	}
	strict := gen.NewStrictHandlerWithOptions(operations{s.credentials, s.webhooks}, nil, gen.StrictHTTPServerOptions{
		RequestErrorHandlerFunc:  writePayloadError,
		ResponseErrorHandlerFunc: writeServerError,
	})
	gen.HandlerWithOptions(strict, gen.StdHTTPServerOptions{
		BaseRouter:       s.router,
		Middlewares:      []gen.MiddlewareFunc{checkPayload(requiredAttributes(c))},
		ErrorHandlerFunc: writeParamError,
	})
	return s
}

// ServeHTTP checks the rate limit, the route and the credentials of a request. The
// router would redirect some requests and respond to others in plain text.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	limited := isLimited(r)
	if limited && !s.limit.admit(r.Method, w.Header()) {
		writeError(w, errTooManyRequests)
		return
	}
	methods := allowedMethods(r.URL.EscapedPath())
	if methods == nil {
		writeError(w, errUnknownRoute)
		return
	}
	if !slices.Contains(methods, r.Method) {
		writeError(w, errMethodNotAllowed)
		return
	}
	if limited {
		if e, ok := s.credentials.authenticate(r); !ok {
			writeError(w, e)
			return
		}
	}
	if _, pattern := s.router.Handler(r); pattern == "" {
		// The router accepts any segment except an escaped slash as an ID.
		writeError(w, errNotFound("webhookId"))
		return
	}
	s.router.ServeHTTP(w, r)
}

// isLimited reports whether a request counts for the rate limit and needs
// credentials. Requests for tokens are exempt.
func isLimited(r *http.Request) bool {
	return !strings.HasPrefix(r.URL.EscapedPath(), "/auth/")
}

// allowedMethods returns the methods of the route of an escaped path, or nil for an
// unknown route.
func allowedMethods(path string) []string {
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
