package facade

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/apivideo-community/webhooks-go/gen"
)

// Client calls the webhook operations of one api.video environment with one API
// key. It is safe for concurrent use and meant to be kept: connections are
// reused, and there is nothing to close.
type Client struct {
	low       *gen.Client
	rateLimit *latestRateLimit
}

// NewClient returns a client for production, or for what the options say. It
// sends nothing. Every fault of the key or an option is reported here, as
// ErrInvalidArgument, without the key in it.
func NewClient(apiKey string, opts ...Option) (*Client, error) {
	if !validKey(apiKey) {
		return nil, invalid("NewClient", "the API key must be printable ASCII without spaces and colons")
	}
	cfg := config{baseURL: productionURL, retry: defaultRetry, logger: slog.New(slog.DiscardHandler)}
	for _, opt := range opts {
		if opt == nil {
			return nil, invalid("NewClient", "an option is nil")
		}
		if err := opt(&cfg); err != nil {
			return nil, invalid("NewClient", "%v", err)
		}
	}

	// The order that a request goes through: log, retry, token, bounds, the http client.
	rateLimit := new(latestRateLimit)
	var doer gen.HttpRequestDoer = &boundedDoer{client: newHTTPClient(&cfg), rateLimit: rateLimit}
	identify := identify(cfg.application)
	authorize := gen.WithRequestEditorFn(basicAuth(apiKey))
	if cfg.tokens {
		tokens, err := newTokenDoer(doer, apiKey, &cfg, identify)
		if err != nil {
			return nil, invalid("NewClient", "%v", err)
		}
		doer, authorize = tokens, func(*gen.Client) error { return nil }
	}
	doer = &retryDoer{next: doer, policy: cfg.retry, logger: cfg.logger}
	doer = &logDoer{next: doer, logger: cfg.logger}
	low, err := gen.NewClient(cfg.baseURL, gen.WithHTTPClient(doer), gen.WithRequestEditorFn(identify), authorize)
	if err != nil {
		return nil, invalid("NewClient", "%v", err)
	}
	return &Client{low: low, rateLimit: rateLimit}, nil
}

// Raw returns the generated client, for what this package has no method for. It
// sends with the same key through the same chain: repeated and bounded alike, a
// body over its bound is ErrUnexpectedResponse. It takes any id, though, and "",
// "." and ".." reach another route than meant.
func (c *Client) Raw() *gen.ClientWithResponses {
	return &gen.ClientWithResponses{ClientInterface: c.low}
}

// RateLimit returns what the latest answer said about the rate limit, and false
// as long as none has said anything.
func (c *Client) RateLimit() (RateLimit, bool) { return c.rateLimit.load() }

// validKey refuses what a copied key has around it by mistake, and the colon,
// where Basic authentication would end the user name.
func validKey(key string) bool {
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' || key[i] == ':' {
			return false
		}
	}
	return key != ""
}

// basicAuth sets the Authorization header on the request and not in a transport,
// which would set it on a redirect to another host as well.
func basicAuth(apiKey string) gen.RequestEditorFn {
	header := http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(apiKey+":"))}}
	return func(_ context.Context, req *http.Request) error {
		maps.Copy(req.Header, header) // values are shared, nobody writes into them
		return nil
	}
}

// identify says who is calling.
func identify(application string) gen.RequestEditorFn {
	header := make(http.Header)
	header.Set("Accept", "application/json")
	header.Set("User-Agent", "apivideo-webhooks-go/"+version)
	header.Set("AV-Origin-Client", "webhooks-go:"+version)
	if application != "" {
		header.Set("AV-Origin-App", application)
	}
	return func(_ context.Context, req *http.Request) error {
		maps.Copy(req.Header, header)
		return nil
	}
}

// newHTTPClient bounds a copy of the caller's client and keeps the key at home.
func newHTTPClient(cfg *config) *http.Client {
	hc := cfg.httpClient
	if hc.Timeout <= 0 { // none, as net/http has it
		hc.Timeout = cmp.Or(cfg.timeout, defaultTimeout)
	} else if cfg.timeout != 0 {
		hc.Timeout = min(hc.Timeout, cfg.timeout)
	}
	check := hc.CheckRedirect
	hc.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if check == nil || isExchange(via[0].URL) {
			return http.ErrUseLastResponse // the body of an exchange holds the key itself
		}
		if !sameOrigin(req.URL, via[0].URL) {
			req.Header.Del("Authorization") // net/http keeps it for subdomains, other ports and http
		}
		if err := check(req, via); err != nil {
			return err
		}
		if was := via[0].Method; req.Method != was {
			return finalError{fmt.Errorf("%w: a redirect that makes %s of %s", ErrUnexpectedResponse, req.Method, was)}
		}
		return nil
	}
	return &hc
}

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Host, b.Host)
}
