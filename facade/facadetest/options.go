package facadetest

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/gen"
)

// An Option configures a [Server]. Later options override earlier ones.
type Option func(*config)

type config struct {
	apiKey        string
	webhookLimit  int
	reads, writes int
	now           func() time.Time
	newestFirst   bool
	pageBeyondEnd int
	unknownEvents bool

	deliveryRetries                   int
	deliveryInterval, deliveryTimeout time.Duration
	deliveryTransport                 http.RoundTripper
}

// newConfig returns the configuration with these options. It panics if an option
// is invalid.
func newConfig(opts []Option) config {
	c := config{
		apiKey: randomText(43), webhookLimit: 10, reads: 100, writes: 40, now: time.Now, pageBeyondEnd: http.StatusOK,
		deliveryRetries: 3, deliveryInterval: 3 * time.Second, deliveryTimeout: 10 * time.Second,
		deliveryTransport: &http.Transport{DisableCompression: true}, // without a proxy
	}
	for _, opt := range opts {
		opt(&c)
	}
	if c.webhookLimit < 0 || c.reads < 0 || c.writes < 0 {
		panic("facadetest: a limit must be zero or more")
	}
	if c.now == nil {
		panic("facadetest: WithClock: the clock is nil")
	}
	if c.deliveryRetries < 0 || c.deliveryInterval < 0 {
		panic("facadetest: WithDeliveryRetries: the count and the interval must be zero or more")
	}
	if c.deliveryTimeout <= 0 {
		panic("facadetest: WithDeliveryTimeout: the timeout must be positive")
	}
	switch c.pageBeyondEnd {
	case http.StatusOK, http.StatusBadRequest, http.StatusNotFound:
	default:
		panic("facadetest: WithPageBeyondEnd: the status must be 200, 400 or 404, not " + strconv.Itoa(c.pageBeyondEnd))
	}
	return c
}

// accepts reports whether the server accepts an event.
func (c config) accepts(event gen.EventType) bool {
	return c.unknownEvents || slices.Contains(facade.EventTypes(), event)
}

// WithAPIKey sets the API key that the server accepts. The default is a
// random key. NewServer panics if the key is empty.
func WithAPIKey(key string) Option {
	return func(c *config) {
		if key == "" {
			panic("facadetest: WithAPIKey: the key is empty")
		}
		c.apiKey = key
	}
}

// WithWebhookLimit sets the maximum number of webhooks. The default is 10. A
// create beyond the limit gets 400. Zero means no limit. NewServer panics if the
// limit is negative.
func WithWebhookLimit(n int) Option {
	return func(c *config) { c.webhookLimit = n }
}

// WithRateLimit sets the maximum number of reads and of writes per minute. The
// default is 100 and 40, the limits of the sandbox. A request beyond the limit
// gets 429. Zero means no limit and no X-RateLimit headers. NewServer panics if a
// limit is negative.
func WithRateLimit(reads, writes int) Option {
	return func(c *config) { c.reads, c.writes = reads, writes }
}

// WithClock sets the clock for the time of webhooks and events, for rate limits
// and for the expiry of tokens. The default is [time.Now]. The function must be
// safe for concurrent use. NewServer panics if it is nil.
func WithClock(now func() time.Time) Option {
	return func(c *config) { c.now = now }
}

// WithNewestFirst makes lists begin with the newest webhook. By default they
// begin with the oldest. The order of the service is unknown.
func WithNewestFirst() Option {
	return func(c *config) { c.newestFirst = true }
}

// WithPageBeyondEnd sets the status of the response for a page beyond the last.
// The default is 200, a page without webhooks. 400 and 404 are errors. The
// response of the service is unknown. NewServer panics on any other status.
func WithPageBeyondEnd(status int) Option {
	return func(c *config) { c.pageBeyondEnd = status }
}

// WithUnknownEvents allows events that the contract does not list. By default a
// create or a list with an unknown event gets 400, and [Server.Deliver] panics on
// an event of an unknown type.
func WithUnknownEvents() Option {
	return func(c *config) { c.unknownEvents = true }
}

// WithDeliveryRetries sets the number of retries of a failed delivery and the
// interval between attempts. The default is 3 retries, 3 seconds apart, as the
// service has it. The intervals pass in real time. Inside testing/synctest they
// take no time if the server and the receiver were started outside the bubble.
// NewServer panics if a value is negative.
func WithDeliveryRetries(count int, interval time.Duration) Option {
	return func(c *config) { c.deliveryRetries, c.deliveryInterval = count, interval }
}

// WithDeliveryTimeout sets the timeout of one delivery attempt, including the
// response body. The default is 10 seconds. The timeout of the service is
// unknown. NewServer panics unless the timeout is positive.
func WithDeliveryTimeout(d time.Duration) Option {
	return func(c *config) { c.deliveryTimeout = d }
}

// WithDeliveryClient makes deliveries use the Transport of this client, for
// example to reach an [net/http/httptest.NewTLSServer]. A nil Transport means
// [http.DefaultTransport]. The other fields of the client have no effect:
// redirects are never followed, and [WithDeliveryTimeout] sets the timeout.
// Without this option deliveries use no proxy. NewServer panics if the client is nil.
func WithDeliveryClient(client *http.Client) Option {
	return func(c *config) {
		if client == nil {
			panic("facadetest: WithDeliveryClient: the client is nil")
		}
		c.deliveryTransport = client.Transport
	}
}
