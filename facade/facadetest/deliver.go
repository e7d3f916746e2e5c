package facadetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"

	"github.com/apivideo-community/webhooks-go/facade"
)

// maxDeliveryResponse is the maximum number of bytes of a response that are read.
const maxDeliveryResponse = 64 << 10

// A Delivery is the result of one notification for one webhook.
type Delivery struct {
	// WebhookID and URL identify the webhook.
	WebhookID, URL string

	// Attempts are the attempts in order.
	Attempts []Attempt
}

// OK reports whether the last attempt got a status from 200 to 299. The event is
// lost otherwise.
func (d Delivery) OK() bool {
	return len(d.Attempts) > 0 && d.Attempts[len(d.Attempts)-1].ok()
}

// An Attempt is one request with a notification.
type Attempt struct {
	// Status is the status of the response. Zero means no response.
	Status int

	// Err is the reason for a missing response. It is nil after any response.
	Err error
}

// ok excludes redirects, as the service does.
func (a Attempt) ok() bool { return a.Status >= 200 && a.Status <= 299 }

// Deliver sends an event as a signed notification to each webhook subscribed to
// its type. It returns the deliveries in the order of [Server.Webhooks], after each
// webhook has received or lost the event. Deliver aborts attempts in flight and
// does not retry after ctx ends or the server closes.
//
// The section "Notifications" of the package comment describes the events. Deliver
// panics on any other event, and on an unknown type without [WithUnknownEvents].
func (s *Server) Deliver(ctx context.Context, event any) []Delivery {
	body := encodeEvent(event, s.eventTime.next(s.config.now()))
	eventType := eventTypeIn(body)
	if !s.config.accepts(eventType) {
		panic(fmt.Sprintf("facadetest: unknown event %q; WithUnknownEvents allows it", eventType))
	}
	webhooks := slices.DeleteFunc(s.Webhooks(), func(w facade.Webhook) bool {
		return !slices.Contains(w.Events, eventType)
	})

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer s.onClose.register(cancel)()

	sender := newSender(s.config)
	deliveries := make([]Delivery, len(webhooks))
	var group sync.WaitGroup
	for i, w := range webhooks {
		group.Go(func() { deliveries[i] = sender.deliver(ctx, w, body) })
	}
	group.Wait()
	return deliveries
}

// A sender delivers notifications.
type sender struct {
	config config
	client *http.Client
}

// newSender returns a sender that ignores redirects.
func newSender(c config) sender {
	return sender{c, &http.Client{
		Transport:     c.deliveryTransport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       c.deliveryTimeout,
	}}
}

// deliver sends a body to a webhook until an attempt succeeds or the retries are used up.
func (s sender) deliver(ctx context.Context, w facade.Webhook, body []byte) Delivery {
	d := Delivery{WebhookID: w.ID, URL: w.URL}
	for {
		d.Attempts = append(d.Attempts, s.attempt(ctx, w, body))
		if d.OK() || len(d.Attempts) > s.config.deliveryRetries {
			return d
		}
		wait(ctx, s.config.deliveryInterval)
		if ctx.Err() != nil {
			return d
		}
	}
}

// attempt sends a body to a webhook once.
func (s sender) attempt(ctx context.Context, w facade.Webhook, body []byte) Attempt {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return Attempt{Err: err}
	}
	// On a new connection net/http sends the request once. An idle connection would
	// stop the time inside testing/synctest.
	req.Close = true
	setNotificationHeader(req.Header, w.ID, w.SignatureSecret, body)
	resp, err := s.client.Do(req)
	if err != nil {
		return Attempt{Err: err}
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxDeliveryResponse) // the status is sufficient
	return Attempt{Status: resp.StatusCode}
}
