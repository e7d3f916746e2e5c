package facadetest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
)

// maxAnswer is how many bytes of a receiver's answer are read. Nobody looks at them.
const maxAnswer = 64 << 10

// WithDeliveryRetries sets how often a delivery that failed is tried again, and
// the time in between, by default 3 times and 3 seconds like the service. The
// waits are real: a test of failures will want them shorter. Under
// testing/synctest they take no time if server and receiver were made outside of
// the bubble. NewServer panics if one is negative.
func WithDeliveryRetries(count int, interval time.Duration) Option {
	return func(c *config) { c.deliveryRetries, c.deliveryInterval = count, interval }
}

// WithDeliveryTimeout sets how long an attempt to deliver may take, the answer's
// body included, 10 seconds by default. The timeout of the service isn't known.
// NewServer panics unless it is positive.
func WithDeliveryTimeout(d time.Duration) Option {
	return func(c *config) { c.deliveryTimeout = d }
}

// A Delivery is what became of one notification for one webhook.
type Delivery struct {
	// WebhookID and URL are the webhook's.
	WebhookID, URL string

	// Attempts are in the order they were made.
	Attempts []Attempt
}

// OK tells whether the last attempt was answered with 200 to 299. Then
// there was no other, and without it the event is lost.
func (d Delivery) OK() bool {
	return len(d.Attempts) > 0 && d.Attempts[len(d.Attempts)-1].succeeded()
}

// An Attempt is one request with a notification.
type Attempt struct {
	// Status is the answer's, zero if there was none.
	Status int

	// Err is why there was no answer, nil if there was one, whatever its status.
	Err error
}

// succeeded leaves redirects out, which the service doesn't follow.
func (a Attempt) succeeded() bool { return a.Status >= 200 && a.Status <= 299 }

// Deliver sends an event as a signed notification to each webhook that is
// subscribed to its type, and returns when all have taken it or lost it. The
// deliveries are in the order of [Server.Webhooks]; there is none if nobody is
// subscribed.
//
// The event is one of the structs of package notification, such as
// [notification.VideoSummaryGenerated], or a pointer to one. If its Type is
// empty it gets the one of the struct, and if its EmittedAt is zero it gets the
// time of the server's clock. Under testing/synctest that is the bubble's, in the
// year 2000: set EmittedAt for a receiver outside that uses
// [notification.WithMaxAge]. A []byte or [json.RawMessage] is sent as it is, for
// events and bytes that the structs can't express; all it needs is to begin with
// an object that has a type. Deliver panics if the event is nothing of the kind.
//
// An answer of 299 or less is success. Everything else is tried again as
// [WithDeliveryRetries] says, with the same bytes. Webhooks don't wait for each
// other. Deliver really sends to their urls: those of a test are best on the
// loopback interface, where http will do. When ctx ends or the server closes,
// what is under way is broken off and nothing is tried again.
func (s *Server) Deliver(ctx context.Context, event any) []Delivery {
	body := encodeEvent(event, s.service.now())
	eventType := typeOf(body)
	webhooks := slices.DeleteFunc(s.Webhooks(), func(w facade.Webhook) bool {
		return !slices.Contains(w.Events, eventType)
	})

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer s.closing.call(cancel)()

	deliveries := make([]Delivery, len(webhooks))
	var group sync.WaitGroup
	for i, w := range webhooks {
		group.Go(func() { deliveries[i] = s.deliver(ctx, w, body) })
	}
	group.Wait()
	return deliveries
}

// deliver sends a body to a webhook until that has taken it.
func (s *Server) deliver(ctx context.Context, w facade.Webhook, body []byte) Delivery {
	d := Delivery{WebhookID: w.ID, URL: w.URL}
	for {
		d.Attempts = append(d.Attempts, s.attempt(ctx, w, body))
		if d.OK() || len(d.Attempts) > s.service.deliveryRetries {
			return d
		}
		wait(ctx, s.service.deliveryInterval)
		if ctx.Err() != nil {
			return d
		}
	}
}

// attempt sends a body to a webhook once.
func (s *Server) attempt(ctx context.Context, w facade.Webhook, body []byte) Attempt {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return Attempt{Err: err}
	}
	setNotificationHeader(req.Header, w.ID, w.SignatureSecret, body)
	resp, err := s.sender.Do(req)
	if err != nil {
		return Attempt{Err: err}
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer) // the status has decided
	return Attempt{Status: resp.StatusCode}
}

// newSender returns the client that delivers. It follows no redirects and uses
// no proxy. Each attempt has its own connection, so that net/http sends nothing
// twice by itself and nothing is left behind, between attempts neither: under
// testing/synctest time passes only then.
func newSender(timeout time.Duration) *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       timeout,
	}
}
