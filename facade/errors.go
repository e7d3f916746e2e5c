package facade

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/apivideo-community/webhooks-go/facade/internal/redact"
	"github.com/apivideo-community/webhooks-go/facade/internal/transport"
)

// Errors for errors.Is. The error of a status matches every [Error] with the status,
// whether or not the response has a body.
var (
	// ErrBadRequest is status 400. Error.Problems lists the invalid fields.
	ErrBadRequest = errors.New("bad request")
	// ErrUnauthorized is status 401: the API key is invalid or belongs to another
	// environment.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrForbidden is status 403: the account is suspended.
	ErrForbidden = errors.New("forbidden")
	// ErrNotFound is status 404: there is no webhook with the ID, or the base URL
	// belongs to another server.
	ErrNotFound = errors.New("not found")
	// ErrTooManyRequests is status 429. Error.RetryAfter is the requested delay.
	ErrTooManyRequests = errors.New("too many requests")
	// ErrServer is a status from 500 to 599.
	ErrServer = errors.New("server error")
	// ErrWebhookLimitReached is the 400 of an account with the maximum number of
	// webhooks, about ten. ErrBadRequest matches, too.
	ErrWebhookLimitReached = errors.New("webhook limit reached")
	// ErrInvalidArgument means that an argument or option is invalid. No request
	// was sent.
	ErrInvalidArgument = errors.New("invalid argument")
	// ErrUnexpectedResponse means that a response is unusable, for example because
	// the body is truncated, too large or other than the expected JSON. Redirects,
	// inconsistent lists, and new webhooks unlike the request are such responses.
	ErrUnexpectedResponse = transport.ErrUnexpectedResponse
	// ErrUnconfirmed means that a webhook may have been created although no
	// response confirms the creation. Look for the webhook before another attempt,
	// as EnsureWebhook does, because the service accepts duplicates.
	ErrUnconfirmed = errors.New("creation unconfirmed")
)

// Error is the failure of a request. The text and the LogValue contain no key, token
// or secret. All fields are redacted. Keys and tokens under 16 bytes are not redacted.
//
// errors.Is finds the errors of this package, and also context.Canceled,
// context.DeadlineExceeded and the cause of the context. errors.As finds no error
// whose text has a key or token, except a redacted copy of a *url.Error.
type Error struct {
	// Op is the failed method of Client. The Op of an iterator is "ListWebhooks".
	// The Op of a token request is "CreateAccessToken" or "RefreshAccessToken".
	Op string
	// StatusCode is the status of the last response. It is 0 without a response, and
	// for an error about the content of several responses.
	StatusCode int
	// Type is the URL of the kind of problem. Only the last segment is stable.
	Type string
	// Title is the description of the problem by the service.
	Title string
	// Name is the invalid parameter, if the service names a single parameter.
	Name string
	// Detail is additional information, which the service rarely sends.
	Detail string
	// Problems lists the invalid fields of a 400.
	Problems []Problem
	// RetryAfter is the delay in the response of a 429 or 503. Zero means no
	// delay.
	RetryAfter time.Duration
	// RateLimit is the rate limit in the response, or zero.
	RateLimit RateLimit
	// Attempts is the number of attempts. It is 0 for an error about the content of
	// several responses.
	Attempts int
	// Header is the header of the response, or nil. Values over 4 KiB are truncated,
	// and values over 64 KiB in total are omitted.
	Header http.Header
	// Body is the body of an error response, at most 64 KiB. Body is nil after a
	// 2xx or 3xx response, which may contain secrets.
	Body []byte

	host  string // of the request
	cause error
}

// Problem is one invalid field of a request.
type Problem struct {
	// Name is the invalid parameter.
	Name string
	// Title is the description of the problem by the service.
	Title string
	// Type is the URL of the kind of problem, as in Error.
	Type string
}

// Error returns one line of limited length with the operation, the status, the
// description by the service, the cause and hints.
func (e *Error) Error() string {
	const maxProblems = 10
	var b strings.Builder
	b.WriteString("apivideo: " + e.Op)
	if e.StatusCode != 0 {
		b.WriteString(strings.TrimRight(fmt.Sprintf(": %d %s", e.StatusCode, redact.Clip(e.title(), 200)), " "))
	}
	for _, p := range e.Problems[:min(len(e.Problems), maxProblems)] {
		b.WriteString("; " + strings.Trim(redact.Clip(p.Name, 200)+": "+redact.Clip(p.Title, 200), ": "))
	}
	if more := len(e.Problems) - maxProblems; more > 0 {
		fmt.Fprintf(&b, "; and %d more", more)
	}
	if e.Name != "" && len(e.Problems) == 0 {
		b.WriteString(" (" + redact.Clip(e.Name, 200) + ")")
	}
	if e.Detail != "" {
		b.WriteString(": " + redact.Clip(e.Detail, 200))
	}
	if e.cause != nil {
		b.WriteString(": " + redact.Clip(e.cause.Error(), 1000))
	}
	if hints := e.hints(); len(hints) > 0 {
		b.WriteString(" (" + strings.Join(hints, "; ") + ")")
	}
	return redact.OneLine(b.String())
}

// hints returns what the caller needs to know beside the response.
func (e *Error) hints() []string {
	var hints []string
	if e.StatusCode == http.StatusUnauthorized && e.host != "" {
		hints = append(hints, "host "+redact.Clip(e.host, 200)+"; production and sandbox have different API keys")
	}
	if e.RetryAfter > 0 {
		hints = append(hints, fmt.Sprintf("retry after %v", e.RetryAfter))
	}
	if e.Attempts > 1 {
		hints = append(hints, fmt.Sprintf("%d attempts", e.Attempts))
	}
	return hints
}

// Unwrap returns the cause, or nil if the response is the only cause.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is the error for the status or type of e.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrBadRequest:
		return e.StatusCode == http.StatusBadRequest
	case ErrUnauthorized:
		return e.StatusCode == http.StatusUnauthorized
	case ErrForbidden:
		return e.StatusCode == http.StatusForbidden
	case ErrNotFound:
		return e.StatusCode == http.StatusNotFound
	case ErrTooManyRequests:
		return e.StatusCode == http.StatusTooManyRequests
	case ErrServer:
		return e.StatusCode >= 500 && e.StatusCode <= 599
	case ErrWebhookLimitReached:
		return e.StatusCode == http.StatusBadRequest && e.slug() == "webhook-limit-reached"
	}
	return false
}

// LogValue returns a group with the operation, status, number of attempts, text and
// type of e, and with the requested delay.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("op", e.Op),
		slog.Int("status", e.StatusCode),
		slog.Int("attempts", e.Attempts),
		slog.String("msg", e.Error()),
	}
	if slug := e.slug(); slug != "" {
		attrs = append(attrs, slog.String("type", redact.OneLine(redact.Clip(slug, 200))))
	}
	if e.RetryAfter > 0 {
		attrs = append(attrs, slog.String("retry_after", e.RetryAfter.String()))
	}
	return slog.GroupValue(attrs...)
}

// slug returns the last segment of Type.
func (e *Error) slug() string {
	t := strings.TrimRight(e.Type, "/")
	return t[strings.LastIndexByte(t, '/')+1:]
}

func (e *Error) title() string {
	if e.Title != "" {
		return e.Title
	}
	return http.StatusText(e.StatusCode)
}

// invalid returns the error for an invalid argument.
func invalid(op string, reason error) error {
	return fmt.Errorf("apivideo: %s: %w: %w", op, ErrInvalidArgument, reason)
}
