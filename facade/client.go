package facade

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/apivideo-community/webhooks-go/facade/internal/redact"
	"github.com/apivideo-community/webhooks-go/facade/internal/transport"
	"github.com/apivideo-community/webhooks-go/gen"
)

// Client calls the webhook operations of one api.video environment with one API
// key. A Client is safe for concurrent use. Create one and keep it to reuse
// connections. There is no Close.
type Client struct {
	server      string // with a slash at the end
	webhooksURL string // of the list, without a query
	base        *url.URL
	transport   *transport.Client
	rateLimit   *latestRateLimit
	validator   validator
}

// NewClient returns a client for production, unless an option selects another
// server. NewClient sends no request. An invalid key or option is ErrInvalidArgument. The
// error does not contain the key.
func NewClient(apiKey string, opts ...Option) (*Client, error) {
	const op = "NewClient"
	if err := checkKey(apiKey); err != nil {
		return nil, invalid(op, err)
	}
	redactor := redact.New(apiKey)
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, redactor.Error(invalid(op, err))
	}
	c := &Client{
		server:    strings.TrimSuffix(cfg.baseURL.String(), "/") + "/",
		base:      cfg.baseURL,
		rateLimit: new(latestRateLimit),
		validator: validator{unknownEvents: cfg.unknownEvents, loopback: !isService(cfg.baseURL)},
	}
	c.transport = &transport.Client{
		Sender: &transport.Sender{
			RoundTripper: cfg.httpClient.Transport,
			Timeout:      cfg.attemptTimeout(),
			MaxBody:      maxBody,
			MaxErrorBody: maxErrorBody,
			Header:       identification(cfg.application),
			Redactor:     redactor,
			OnResponse:   c.rateLimit.observe,
		},
		Auth:   transport.Basic(apiKey),
		Retry:  transport.Policy(cfg.retry),
		Logger: cfg.logger,
	}
	list, err := gen.NewListWebhooksRequest(c.server, nil)
	if err != nil {
		return nil, redactor.Error(invalid(op, err))
	}
	c.webhooksURL = list.URL.String()
	if cfg.tokens {
		c.transport.Auth = newTokenCache(c.transport, c.server, NewSecret(apiKey))
	}
	return c, nil
}

// isService reports whether base is a server of api.video.
func isService(base *url.URL) bool {
	return strings.HasSuffix(strings.ToLower(strings.TrimSuffix(base.Hostname(), ".")), ".api.video")
}

// identification returns the headers of each request.
func identification(application string) http.Header {
	h := make(http.Header)
	h.Set("Accept", "application/json")
	h.Set("User-Agent", "apivideo-webhooks-go/"+version)
	h.Set("AV-Origin-Client", "webhooks-go:"+version)
	if application != "" {
		h.Set("AV-Origin-App", application)
	}
	return h
}

// Raw returns a new generated client, for operations without a method of Client.
// The credentials, retries and limits are the same. Credentials are sent to
// the server of c only, also if the Server of the generated client is changed. A
// body over the limit is ErrUnexpectedResponse. Request bodies are read into
// memory. IDs are not checked: "", "." and ".." reach another route.
func (c *Client) Raw() *gen.ClientWithResponses {
	return &gen.ClientWithResponses{ClientInterface: &gen.Client{
		Server: c.server,
		Client: transport.Doer{Client: c.transport, Base: c.base},
	}}
}

// RateLimit returns the rate limit of the latest response with rate limit headers,
// or false before the first.
func (c *Client) RateLimit() (RateLimit, bool) { return c.rateLimit.load() }

// invalid returns the error for an invalid argument, which may contain a credential.
func (c *Client) invalid(op string, reason error) error {
	return c.transport.Redactor.Error(invalid(op, reason))
}

// errorf returns an Error about decoded responses.
func (c *Client) errorf(op, format string, args ...any) *Error {
	return &Error{Op: op, cause: c.transport.Redactor.Error(fmt.Errorf(format, args...))}
}
