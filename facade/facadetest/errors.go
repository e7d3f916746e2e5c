package facadetest

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/apivideo-community/webhooks-go/gen"
)

const (
	errorBase     = "https://docs.api.video/reference/"
	titleRequired = "This attribute is required."
)

// The errors of the service.
var (
	errInvalidPayload      = newError(http.StatusBadRequest, "invalid-payload", "The payload is invalid.")
	errWebhookLimit        = newError(http.StatusBadRequest, "webhook-limit-reached", "Your account has reached the webhook urls limit.")
	errInvalidAPIKey       = newError(http.StatusUnauthorized, "authentication-invalid-api-key", "The API key is invalid.")
	errInvalidAccessToken  = newError(http.StatusUnauthorized, "authentication-invalid-access-token", "The access token is invalid or expired.")
	errInvalidRefreshToken = newError(http.StatusUnauthorized, "authentication-invalid-refresh-token", "The refresh token is invalid.")
	errMissingHeader       = newError(http.StatusUnauthorized, "authentication-missing-authorization-header", `The "Authorization" header is missing.`)
	errSuspended           = newError(http.StatusForbidden, "authorization-suspended-account", "Suspended account")
	errUnknownRoute        = newError(http.StatusNotFound, "unrecognized-request-url", "Unrecognized request URL.")
	errMethodNotAllowed    = newError(http.StatusMethodNotAllowed, "method-not-allowed", "Method is not allowed for this route.")
	errTooManyRequests     = newError(http.StatusTooManyRequests, "too-many-requests", "Too many requests.")
	errServer              = gen.Error{Title: "Server error", Status: http.StatusInternalServerError}
)

func newError(status int, slug, title string) gen.Error {
	return gen.Error{Type: errorBase + slug, Title: title, Status: status}
}

// errNotFound returns the error for an unknown resource in the parameter name.
func errNotFound(name string) gen.Error {
	e := newError(http.StatusNotFound, "resource-not-found", "The requested resource was not found.")
	e.Name = name
	return e
}

// errInvalidQuery returns the error for the query parameter name.
func errInvalidQuery(name string) gen.Error {
	e := newError(http.StatusBadRequest, "invalid-query-parameter", "A query parameter is invalid.")
	e.Name = name
	return e
}

// errInvalidAttributes returns the error for a body with missing or invalid
// fields. The service has the same title for all problems.
func errInvalidAttributes(problems []gen.ErrorProblem) gen.Error {
	e := newError(http.StatusBadRequest, "attribute-required", titleRequired)
	e.Name = problems[0].Name
	e.Problems = problems
	return e
}

func writeError(w http.ResponseWriter, e gen.Error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Status)
	_, _ = w.Write(marshalError(e))
}

func marshalError(e gen.Error) []byte {
	b, _ := json.Marshal(e) // strings and numbers are always valid JSON
	return b
}

// writeParamError responds to a query parameter that cannot be decoded.
func writeParamError(w http.ResponseWriter, _ *http.Request, err error) {
	var name string
	if format := (*gen.InvalidParamFormatError)(nil); errors.As(err, &format) {
		name = format.ParamName
	}
	writeError(w, errInvalidQuery(name))
}

// writePayloadError responds to a body that cannot be decoded.
func writePayloadError(w http.ResponseWriter, _ *http.Request, _ error) {
	writeError(w, errInvalidPayload)
}

// writeServerError responds after a failure of the server.
func writeServerError(w http.ResponseWriter, _ *http.Request, _ error) {
	writeError(w, errServer)
}

// errorBody returns the body of a response with this status.
func errorBody(status int) []byte {
	e := gen.Error{Title: http.StatusText(status), Status: status}
	switch status {
	case http.StatusNoContent, http.StatusNotModified:
		return nil
	case http.StatusBadRequest:
		e = errInvalidPayload
	case http.StatusUnauthorized:
		e = errInvalidAPIKey
	case http.StatusForbidden:
		e = errSuspended
	case http.StatusNotFound:
		e = errNotFound("webhookId")
	case http.StatusMethodNotAllowed:
		e = errMethodNotAllowed
	case http.StatusTooManyRequests:
		e = errTooManyRequests
	case http.StatusInternalServerError:
		e = errServer
	}
	return marshalError(e)
}
