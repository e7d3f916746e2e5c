package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// demo sends events of a fake api.video to a receiver and a worker. Every
// event is delivered twice, and the first event fails until it is a dead letter.
func (a *app) demo(ctx context.Context) (err error) {
	if a.dir, err = os.MkdirTemp("", "ingest-demo-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(a.dir)) }()
	const demoEvents = 100
	fake := facadetest.NewServer()
	defer fake.Close()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := fake.Client().CreateWebhook(ctx, facade.CreateWebhookParams{
		URL: "http://" + listener.Addr().String() + a.receiver.path, Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted},
	}); err != nil {
		return err
	}
	var handled atomic.Int64
	a.worker.handle = func(_ context.Context, e event) error {
		if v, ok := e.Event.(*notification.VideoEncodingQualityCompleted); ok && v.VideoID == "vi0" {
			return errors.New("unknown video")
		}
		handled.Add(1)
		return nil
	}
	a.natsURL, a.receiver.drain, a.worker.backoff = "", 0, []time.Duration{100 * time.Millisecond, 100 * time.Millisecond}
	secrets := notification.ClientSecrets(fake.Client())
	a.receiver.secrets, a.receiver.refresh, a.logger = secrets, secrets.Refresh, slog.New(slog.DiscardHandler)
	ctx, stop := context.WithCancel(ctx)
	send := func(ctx context.Context) error {
		defer stop()
		accepted := 0
		for i := range 2 * demoEvents {
			body := fmt.Appendf(nil, `{"type":"video.encoding.quality.completed","videoId":"vi%d"}`, i/2)
			if fake.Deliver(ctx, body)[0].OK() {
				accepted++
			}
		}
		for {
			stream, err := a.js.Stream(ctx, a.dead())
			if err != nil || stream.CachedInfo().State.Msgs > 0 && int(handled.Load()) == demoEvents-1 {
				fmt.Fprintf(a.out, "accepted %d with duplicates\nhandled %d\ndead letters 1\n", accepted, handled.Load())
				return err
			}
			wait(ctx, 50*time.Millisecond)
		}
	}
	return a.runParts(ctx, send, a.worker.run, func(ctx context.Context) error { return a.receiver.run(ctx, listener) })
}
