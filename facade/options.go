package facade

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

const (
	productionURL  = "https://ws.api.video"
	sandboxURL     = "https://sandbox.api.video"
	defaultTimeout = 30 * time.Second
)

// Option configures a Client. Later options override earlier ones.
type Option func(*config) error

type config struct {
	baseURL       *url.URL
	plainHTTP     bool
	httpClient    http.Client
	timeout       time.Duration // 0 means that of httpClient, or else defaultTimeout
	retry         RetryPolicy
	tokens        bool
	unknownEvents bool
	logger        *slog.Logger
	application   string
}

// WithSandbox sends requests to the sandbox instead of production. It needs an API
// key of the sandbox. A key of production causes ErrUnauthorized.
func WithSandbox() Option { return WithBaseURL(sandboxURL) }

// WithBaseURL sends requests to another server, for example a proxy or a fake. The
// URL must have the scheme https, or http with a loopback host or WithPlainHTTP.
// User info, a query and a fragment are invalid. The paths of the operations are
// appended to its path.
func WithBaseURL(baseURL string) Option {
	return func(c *config) error {
		u, err := url.Parse(baseURL)
		switch {
		case err != nil: // the text of err may have a password
			return errors.New("the base URL cannot be parsed")
		case u.User != nil || strings.ContainsAny(baseURL, "?#"):
			return errors.New("the base URL must not have user info, a query or a fragment")
		case u.Scheme != "https" && u.Scheme != "http":
			return fmt.Errorf("the base URL %q must begin with https://", redactPassword(baseURL))
		}
		if err := checkHost(u); err != nil {
			return fmt.Errorf("the base URL %q %w", redactPassword(baseURL), err)
		}
		c.baseURL = u
		return nil
	}
}

// WithPlainHTTP allows a base URL with the scheme http and any host, for example a
// fake server in a private network. The API key is then sent without encryption.
func WithPlainHTTP() Option {
	return func(c *config) error {
		c.plainHTTP = true
		return nil
	}
}

// WithHTTPClient sends requests with the Transport of hc, for example one with a
// proxy, client certificates or tracing. The Timeout of hc limits each attempt,
// see WithTimeout. Redirects are never followed and there are no cookies, so that a
// CheckRedirect or a Jar is ErrInvalidArgument.
//
// The transport may change the headers of the request. It must send the request with
// the context of the request, and must not retry or hedge: a transport such as
// hashicorp/go-retryablehttp creates duplicate webhooks. An *http.Transport must not
// hide another transport with a fallback behind RegisterProtocol.
func WithHTTPClient(hc *http.Client) Option {
	return func(c *config) error {
		switch {
		case hc == nil:
			return errors.New("the HTTP client is nil")
		case hc.CheckRedirect != nil:
			return errors.New("the HTTP client has a CheckRedirect, but redirects are never followed")
		case hc.Jar != nil:
			return errors.New("the HTTP client has a Jar, but cookies are never sent")
		}
		c.httpClient = *hc
		return nil
	}
}

// WithTimeout limits each attempt, from the dial to the last byte of the response.
// The default is 30 seconds, or the Timeout of the HTTP client in WithHTTPClient.
// If both are set, the shorter one applies. The context of a method limits the
// whole call.
func WithTimeout(d time.Duration) Option {
	return func(c *config) error {
		if d <= 0 {
			return fmt.Errorf("the timeout %v must be positive", d)
		}
		c.timeout = d
		return nil
	}
}

// WithRetry sets the retry policy. The defaults of zero fields are 4 attempts,
// 500 ms and 60 s.
func WithRetry(p RetryPolicy) Option {
	return func(c *config) (err error) {
		c.retry, err = p.withDefaults()
		return err
	}
}

// WithTokenExchange authenticates with bearer tokens instead of Basic. The API key
// is then sent only to be exchanged for tokens, when the first request needs one.
// See the section Authentication of the package comment.
func WithTokenExchange() Option {
	return func(c *config) error {
		c.tokens = true
		return nil
	}
}

// WithUnknownEvents allows events that this version does not know. By default they
// are ErrInvalidArgument, because the service accepts a misspelled event and then
// never sends a notification.
func WithUnknownEvents() Option {
	return func(c *config) error {
		c.unknownEvents = true
		return nil
	}
}

// WithLogger logs each call to l at debug level, with its method, path, query,
// status or error, number of attempts and duration. Each retry is logged at warn
// level with its wait. Headers and bodies are never logged.
func WithLogger(l *slog.Logger) Option {
	return func(c *config) error {
		if l == nil {
			return errors.New("the logger is nil")
		}
		c.logger = l
		return nil
	}
}

// The syntax of the AV-Origin headers.
var (
	applicationName    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,50}$`)
	applicationVersion = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,3}){0,2}$`)
)

// WithApplication reports the calling application to the service, in the
// AV-Origin-App header. The name has 1 to 50 letters, digits, dashes and
// underscores. The version has one to three numbers of up to three digits,
// separated by dots.
func WithApplication(name, version string) Option {
	return func(c *config) error {
		if !applicationName.MatchString(name) {
			return fmt.Errorf("the application name %q must have 1 to 50 letters, digits, dashes or underscores", name)
		}
		if !applicationVersion.MatchString(version) {
			return fmt.Errorf("the application version %q must have the form 1, 1.2 or 1.2.3", version)
		}
		c.application = name + ":" + version
		return nil
	}
}

// newConfig applies the options and checks their combination.
func newConfig(opts []Option) (*config, error) {
	c := &config{retry: defaultRetry, logger: slog.New(slog.DiscardHandler)}
	for _, opt := range append([]Option{WithBaseURL(productionURL)}, opts...) {
		if opt == nil {
			return nil, errors.New("an option is nil")
		}
		if err := opt(c); err != nil {
			return nil, err
		}
	}
	if c.baseURL.Scheme == "http" && !isLoopback(c.baseURL.Hostname()) && !c.plainHTTP {
		return nil, fmt.Errorf("the base URL %q must begin with https://, have a loopback host or be allowed by WithPlainHTTP", c.baseURL)
	}
	return c, nil
}

// attemptTimeout returns the shorter of the two timeouts that are set.
func (c *config) attemptTimeout() time.Duration {
	if c.httpClient.Timeout <= 0 {
		return cmp.Or(c.timeout, defaultTimeout)
	}
	return min(c.httpClient.Timeout, cmp.Or(c.timeout, c.httpClient.Timeout))
}
