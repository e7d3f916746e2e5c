package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// The video whose events the demo can't handle.
const poison = "vi-poison"

// demo has a fake api.video send events to a receiver and a worker, which have a
// server in this process and a directory that is removed in the end.
func (a *app) demo(ctx context.Context) (err error) {
	a.dir, err = os.MkdirTemp("", "ingest-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(a.dir)) }()
	a.natsURL, a.name, a.path, a.duplicates, a.maxBytes = "", "apivideo", "/apivideo", minDuplicates, -1
	a.concurrency, a.maxDeliver, a.backoff = 8, 3, durations{200 * time.Millisecond}
	a.ackWait, a.timeout, a.grace = 30*time.Second, time.Minute, time.Second
	a.logger = slog.New(slog.DiscardHandler) // what happens is printed

	fake := facadetest.NewServer()
	defer fake.Close()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // the receiver may not have come to it
	wh, err := fake.Client().CreateWebhook(ctx, facade.CreateWebhookParams{
		URL: "http://" + listener.Addr().String() + a.path,
		Events: []facade.EventType{
			facade.EventVideoEncodingQualityCompleted, facade.EventVideoCaptionGenerated, facade.EventLiveStreamBroadcastStarted,
		},
	})
	if err != nil {
		return err
	}
	return a.connected(ctx, func(ctx context.Context) error {
		d := &demo{app: a, fake: fake, webhook: wh, handled: map[string]int{}, types: map[facade.EventType]int{}, changed: make(chan struct{}, 1)}
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		group, ctx := errgroup.WithContext(ctx)
		group.Go(func() error { return a.newReceiver(notification.ClientSecrets(fake.Client())).serve(ctx, listener) })
		group.Go(func() error { return a.newWorker(d.handle).run(ctx) })
		group.Go(func() error {
			defer stop()
			return d.run(ctx)
		})
		return group.Wait()
	})
}

// A demo counts what arrives.
type demo struct {
	*app
	fake    *facadetest.Server
	webhook *facade.Webhook

	mu      sync.Mutex
	handled map[string]int // by id
	types   map[facade.EventType]int
	changed chan struct{} // somebody has handled something
}

func (d *demo) handle(_ context.Context, e event) error {
	if v, ok := e.Event.(*notification.VideoEncodingQualityCompleted); ok && v.VideoID == poison {
		return errors.New("nobody knows this video")
	}
	d.mu.Lock()
	d.handled[e.ID]++
	d.types[e.Type]++
	d.mu.Unlock()
	select {
	case d.changed <- struct{}{}:
	default: // it is known already
	}
	return nil
}

func (d *demo) run(ctx context.Context) error {
	fmt.Fprintf(d.out, "A fake api.video sends %d events to %s;\nevery tenth comes twice, every fiftieth is forged, one can't be handled.\n\n", d.events, d.webhook.URL)
	begin := time.Now()
	var mu sync.Mutex
	sent, answers := 0, map[string]map[int]int{"authentic": {}, "repeated": {}, "forged": {}}
	senders, sending := errgroup.WithContext(ctx)
	senders.SetLimit(8)
	for i := range d.events {
		senders.Go(func() error {
			body := d.body(i)
			var status [3]int
			status[0] = d.deliver(sending, body)
			if i%10 == 0 {
				status[1] = d.deliver(sending, body)
			}
			if i%50 == 0 {
				status[2] = d.forge(sending, body)
			}
			mu.Lock()
			defer mu.Unlock()
			for j, kind := range []string{"authentic", "repeated", "forged"} {
				if status[j] != 0 {
					answers[kind][status[j]]++
				}
			}
			if sent++; sent%max(1, d.events/6) == 0 || sent == d.events {
				d.mu.Lock()
				fmt.Fprintf(d.out, "  %4d of %d sent, %4d handled\n", sent, d.events, len(d.handled))
				d.mu.Unlock()
			}
			return sending.Err()
		})
	}
	if err := senders.Wait(); err != nil {
		return err
	}
	letter, err := d.deadLetter(ctx)
	if err != nil {
		return err
	}
	for d.missing() > 0 {
		select {
		case <-d.changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return d.report(ctx, answers, letter, time.Since(begin))
}

// missing returns how many events are still to be handled, without the one that
// can't be.
func (d *demo) missing() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.events - 1 - len(d.handled)
}

// deadLetter waits for the one that there will be.
func (d *demo) deadLetter(ctx context.Context) (jetstream.Msg, error) {
	letters, err := d.streams.js.OrderedConsumer(ctx, d.streams.dead(), jetstream.OrderedConsumerConfig{})
	if err != nil {
		return nil, err
	}
	messages, err := letters.Messages()
	if err != nil {
		return nil, err
	}
	defer messages.Stop()
	return messages.Next(jetstream.NextContext(ctx))
}

func (d *demo) report(ctx context.Context, answers map[string]map[int]int, letter jetstream.Msg, took time.Duration) error {
	stream, err := d.streams.js.Stream(ctx, d.streams.events())
	if err != nil {
		return err
	}
	state := stream.CachedInfo().State
	d.mu.Lock()
	defer d.mu.Unlock()
	twice := 0
	for _, times := range d.handled {
		if times > 1 {
			twice++
		}
	}
	fmt.Fprintf(d.out, "\nWhat arrived, in %v:\n", took.Round(10*time.Millisecond))
	for _, t := range slices.Sorted(maps.Keys(d.types)) {
		fmt.Fprintf(d.out, "  %-34s %4d\n", t, d.types[t])
	}
	fmt.Fprintln(d.out, "\nHow it was answered:")
	for _, kind := range []string{"authentic", "repeated", "forged"} {
		for status, count := range answers[kind] {
			fmt.Fprintf(d.out, "  %-34s %4d times %d\n", kind, count, status)
		}
	}
	fmt.Fprintln(d.out, "\nWhat became of it:")
	fmt.Fprintf(d.out, "  %-34s %4d\n  %-34s %4d\n  %-34s %4d\n", "stored", state.LastSeq, "handled", len(d.handled), "handled more than once", twice)
	fmt.Fprintf(d.out, "  %-34s    1: %s, after %s deliveries\n", "dead",
		letter.Headers().Get(headerDeadReason), letter.Headers().Get(headerDeadDeliveries))
	return nil
}

// body returns the bytes of an event.
func (d *demo) body(i int) []byte {
	var e any
	switch id := "vi" + strconv.Itoa(i); {
	case i == d.events/2:
		e = notification.VideoEncodingQualityCompleted{Type: "video.encoding.quality.completed", EmittedAt: time.Now(), VideoID: poison}
	case i%5 == 3:
		e = notification.VideoCaptionGenerated{Type: "video.caption.generated", EmittedAt: time.Now(), VideoID: id, Language: "en"}
	case i%5 == 4:
		e = notification.LiveStreamBroadcastStarted{Type: "live-stream.broadcast.started", EmittedAt: time.Now(), LiveStreamID: "li" + strconv.Itoa(i)}
	default:
		e = notification.VideoEncodingQualityCompleted{Type: "video.encoding.quality.completed", EmittedAt: time.Now(), VideoID: id, Encoding: "hls", Quality: "720p"}
	}
	body, _ := json.Marshal(e) // it always has a JSON form
	return body
}

// deliver has the fake deliver an event and returns how it was answered.
func (d *demo) deliver(ctx context.Context, body []byte) int {
	for _, delivery := range d.fake.Deliver(ctx, body) {
		return delivery.Attempts[len(delivery.Attempts)-1].Status
	}
	return 0
}

// forge sends what nobody has signed who knows the secret.
func (d *demo) forge(ctx context.Context, body []byte) int {
	body = bytes.Replace(body, []byte(`"type"`), []byte(`"forged":true,"type"`), 1)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.webhook.URL, bytes.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header.Set(notification.HeaderWebhookID, d.webhook.ID)
	req.Header.Set(notification.HeaderSignature, notification.Sign(body, facade.NewSecret("a guess")))
	req.Close = true
	resp, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
