package facade

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	productionURL  = "https://ws.api.video"
	sandboxURL     = "https://sandbox.api.video"
	defaultTimeout = 30 * time.Second
)

// Option changes how NewClient sets a client up. Of two that say the same
// thing the later one holds.
type Option func(*config) error

type config struct {
	baseURL     string
	httpClient  http.Client
	timeout     time.Duration // 0: the http client's own, else defaultTimeout
	retry       RetryPolicy
	tokens      bool
	logger      *slog.Logger
	application string
}

// WithSandbox talks to the sandbox in place of production. It needs an API key
// of the sandbox; one of production is answered with ErrUnauthorized there.
func WithSandbox() Option { return WithBaseURL(sandboxURL) }

// WithBaseURL talks to another server, a proxy or a fake. The url is https, or
// http to a loopback host, and has no user info, query or fragment. It may have
// a path, which the paths of the operations are appended to.
func WithBaseURL(baseURL string) Option {
	return func(c *config) error {
		u, err := url.Parse(baseURL)
		switch {
		case err != nil:
			return errors.New("the base url can't be parsed") // err quotes it, password and all
		case u.Scheme != "https" && u.Scheme != "http":
			return errors.New("the base url must begin with https://")
		case u.Hostname() == "":
			return errors.New("the base url has no host")
		case !validPort(u.Port()):
			return errors.New("the base url has a port beyond 65535")
		case u.User != nil:
			return errors.New("the base url must not hold user info")
		case strings.ContainsAny(baseURL, "?#"):
			return errors.New("the base url must not have a query or fragment")
		case u.Scheme == "http" && !isLoopback(u.Hostname()):
			return errors.New("the base url must begin with https://, because its host is not this machine")
		}
		c.baseURL = baseURL
		return nil
	}
}

// validPort refuses what url.Parse lets through, any number of digits.
func validPort(port string) bool {
	_, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil
}

func isLoopback(host string) bool {
	return strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback()
}

// WithHTTPClient sends requests with a copy of hc: its transport, cookie jar
// and timeout hold, and hc itself is never changed. Proxies, certificates and
// tracing belong into its transport.
//
// Redirects are refused unless hc has a CheckRedirect of its own that follows
// them. The API key then goes along only while scheme, host and port stay the
// same, and what would make a get of a create or delete isn't followed.
func WithHTTPClient(hc *http.Client) Option {
	return func(c *config) error {
		if hc == nil {
			return errors.New("the http client is nil")
		}
		c.httpClient = *hc
		return nil
	}
}

// WithTimeout bounds each attempt of a request, from the dial to the last byte
// of the answer. The default is 30 seconds, or the timeout of the http client
// given. If there are both, the shorter one holds. The context passed to a
// method bounds the call as a whole.
func WithTimeout(d time.Duration) Option {
	return func(c *config) error {
		if d <= 0 {
			return errors.New("the timeout must be positive")
		}
		c.timeout = d
		return nil
	}
}

// WithLogger tells l of each request, at debug level: method, path and query, the
// status or why none came, and how long that took, repetitions included. Each
// repetition has a line of its own before, with the attempt, what came of it and
// the wait, and so has each exchange of tokens. Headers and bodies are never told.
func WithLogger(l *slog.Logger) Option {
	return func(c *config) error {
		if l == nil {
			return errors.New("the logger is nil")
		}
		c.logger = l
		return nil
	}
}

// What the service takes in its AV-Origin headers.
var (
	applicationName    = regexp.MustCompile(`^[A-Za-z0-9_-]{1,50}$`)
	applicationVersion = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,3}){0,2}$`)
)

// WithApplication tells the service, in the AV-Origin-App header, which
// application is calling. The name has 1 to 50 letters, digits, dashes and
// underscores; the version one to three numbers of up to three digits, with
// dots between them.
func WithApplication(name, version string) Option {
	return func(c *config) error {
		if !applicationName.MatchString(name) {
			return errors.New("the application's name must be 1 to 50 letters, digits, dashes or underscores")
		}
		if !applicationVersion.MatchString(version) {
			return errors.New("the application's version must look like 1, 1.2 or 1.2.3")
		}
		c.application = name + ":" + version
		return nil
	}
}
