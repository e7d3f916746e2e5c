package facade

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode"
)

// What errors.Is tells apart. Those that stand for a status hold for an [Error]
// with that status, whatever its body was.
var (
	// ErrBadRequest is status 400; Error.Problems names each fault.
	ErrBadRequest = errors.New("bad request")
	// ErrUnauthorized is status 401: the API key is wrong, or one of the other
	// environment.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrForbidden is status 403: the account is suspended.
	ErrForbidden = errors.New("forbidden")
	// ErrNotFound is status 404: there is no webhook of that id, or the base url
	// isn't that of the service.
	ErrNotFound = errors.New("not found")
	// ErrTooManyRequests is status 429; Error.RetryAfter says how long to wait.
	ErrTooManyRequests = errors.New("too many requests")
	// ErrServer is any status from 500 to 599.
	ErrServer = errors.New("server error")
	// ErrWebhookLimitReached is the 400 of an account that holds as many
	// webhooks as it may, about ten. It is an ErrBadRequest too.
	ErrWebhookLimitReached = errors.New("webhook limit reached")
	// ErrInvalidArgument means that nothing was sent, because an argument or
	// option can't be right.
	ErrInvalidArgument = errors.New("invalid argument")
	// ErrUnexpectedResponse means that an answer came and can't be used: it is
	// cut, too large, not the JSON it should be, a redirect, a list that
	// contradicts itself, or a new webhook that isn't the one that was sent.
	ErrUnexpectedResponse = errors.New("unexpected response")
	// ErrUnconfirmed means that a webhook may or may not have been created. Look
	// before creating it again, as EnsureWebhook does: the service removes no
	// duplicates.
	ErrUnconfirmed = errors.New("creation unconfirmed")
)

// Error is the failure of a request that was sent, or was about to be. With
// errors.As it gives the details, and errors.Is tells the sentinels of this
// package apart, and also context.Canceled, context.DeadlineExceeded and
// whatever else the cause holds.
//
// Its text holds no key, token or secret, and neither does its LogValue. Body
// and Header are what the service sent and appear in neither; from Body and what
// is read from it the credentials of the request are blanked out.
type Error struct {
	// Op is the method of Client that failed. A walk fails as "ListWebhooks".
	Op string
	// StatusCode is the answer's, or 0 if none came.
	StatusCode int
	// Type names the problem by a url. Only its last segment holds still: the
	// service has changed the rest several times.
	Type string
	// Title is the problem in the service's words.
	Title string
	// Name is the parameter at fault, if the service named a single one.
	Name string
	// Detail is more about this occurrence, which the service gives rarely.
	Detail string
	// Problems are the single faults of a 400.
	Problems []Problem
	// RetryAfter is how long a 429 asks to wait; 0 if it doesn't say, and for
	// every other status.
	RetryAfter time.Duration
	// RateLimit is what the answer said about it, or zero.
	RateLimit RateLimit
	// Attempts is how often it was sent, or tried to be.
	Attempts int
	// Header is the answer's, or nil if none came.
	Header http.Header
	// Body is what came with a status that says failure, up to 64 KiB. That of a
	// success which can't be used isn't kept, since it may hold secrets.
	Body []byte

	cause error
}

// Problem is one fault of several in a request.
type Problem struct {
	// Name is the parameter at fault.
	Name string
	// Title is the fault in the service's words.
	Title string
	// Type names it by a url, as in Error.
	Type string
}

// Error returns one line of bounded length: the operation, the status, what the
// service said and the cause, in that order and as far as they are known.
func (e *Error) Error() string {
	const most = 10 // problems
	var b strings.Builder
	b.WriteString("apivideo: " + e.Op)
	if e.StatusCode != 0 {
		b.WriteString(strings.TrimRight(fmt.Sprintf(": %d %s", e.StatusCode, clip(e.title(), 200)), " "))
	}
	for _, p := range e.Problems[:min(len(e.Problems), most)] {
		b.WriteString("; " + strings.Trim(clip(p.Name, 200)+": "+clip(p.Title, 200), ": "))
	}
	if more := len(e.Problems) - most; more > 0 {
		fmt.Fprintf(&b, "; and %d more", more)
	}
	if e.Name != "" && len(e.Problems) == 0 {
		b.WriteString(" (" + clip(e.Name, 200) + ")")
	}
	if e.Detail != "" {
		b.WriteString(": " + clip(e.Detail, 200))
	}
	if e.cause != nil {
		b.WriteString(": " + clip(e.cause.Error(), 1000))
	}
	return printable(b.String())
}

// Unwrap returns the cause, or nil if the answer itself is all there is.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is the sentinel of e's status or slug.
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

// LogValue returns what a log needs as a group, without header and body.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("op", e.Op),
		slog.Int("status", e.StatusCode),
		slog.Int("attempts", e.Attempts),
		slog.String("msg", e.Error()),
	}
	if slug := e.slug(); slug != "" {
		attrs = append(attrs, slog.String("type", printable(clip(slug, 200))))
	}
	if e.RetryAfter > 0 {
		attrs = append(attrs, slog.Duration("retry_after", e.RetryAfter))
	}
	return slog.GroupValue(attrs...)
}

// slug is the part of Type that holds still.
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

// clip shortens what comes from outside to a number of characters.
func clip(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

// printable makes one line of s that a terminal shows as it is.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
}

// invalid says why an argument was refused before anything was sent.
func invalid(op, format string, args ...any) error {
	return fmt.Errorf("apivideo: %s: %w: %s", op, ErrInvalidArgument, fmt.Sprintf(format, args...))
}
