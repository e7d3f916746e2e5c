package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// secrets is a source that knows new secrets at once, and asks another for the
// rest.
type secrets struct {
	own  sync.Map
	rest notification.SecretSource
}

func (s *secrets) Secrets(ctx context.Context, webhookID string) ([]facade.Secret, error) {
	if secret, ok := s.own.Load(webhookID); ok {
		return []facade.Secret{secret.(facade.Secret)}, nil
	}
	return s.rest.Secrets(ctx, webhookID)
}

// states counts what another deduplicator knows.
type states struct {
	known                                       notification.Deduplicator
	isNew, inProgress, handled, done, forgotten atomic.Int32
}

func (s *states) Begin(ctx context.Context, key string) (notification.State, error) {
	state, err := s.known.Begin(ctx, key)
	switch state {
	case notification.StateNew:
		s.isNew.Add(1)
	case notification.StateInProgress:
		s.inProgress.Add(1)
	case notification.StateHandled:
		s.handled.Add(1)
	}
	return state, err
}

func (s *states) Done(ctx context.Context, key string) error {
	s.done.Add(1)
	return s.known.Done(ctx, key)
}

func (s *states) Forget(ctx context.Context, key string) error {
	s.forgotten.Add(1)
	return s.known.Forget(ctx, key)
}

// receive is subscribed to everything, and takes one event of each type twice.
func receive(ctx context.Context) error {
	server := facadetest.NewServer(facadetest.WithDeliveryRetries(3, time.Millisecond), facadetest.WithDeliveryTimeout(10*time.Second))
	defer server.Close()
	client := server.Client()

	source := &secrets{rest: notification.ClientSecrets(client)}
	var verifier *notification.Verifier
	verifier, err := notification.NewVerifier(source, []notification.Option{
		notification.WithMaxAge(5 * time.Minute),
		notification.WithMaxBody(1 << 20),
	}...)
	if err != nil {
		return err
	}
	var calls atomic.Int32
	handle := func(_ context.Context, n *notification.Notification) error {
		if calls.Add(1) == 1 {
			return notification.ErrUnavailable // once: the service tries again
		}
		return read(n)
	}
	seen := &states{known: notification.NewMemoryDeduplicator(10*time.Minute, 1000)}
	receiver := httptest.NewServer(notification.NewHandler(verifier, handle, []notification.HandlerOption{
		notification.WithDeduplicator(seen),
		notification.WithHandlerLogger(slog.New(slog.DiscardHandler)),
	}...))
	defer receiver.Close()
	wh, err := client.CreateWebhook(ctx, facade.CreateWebhookParams{URL: receiver.URL, Events: allEvents})
	if err != nil {
		return err
	}
	source.own.Store(wh.ID, wh.SignatureSecret)

	now := time.Now()
	for _, event := range []any{
		&notification.LiveStreamBroadcastStarted{Type: "live-stream.broadcast.started", EmittedAt: now, LiveStreamID: "li1"},
		&notification.LiveStreamBroadcastEnded{Type: "live-stream.broadcast.ended", EmittedAt: now, LiveStreamID: "li1"},
		&notification.VideoSourceRecorded{Type: "video.source.recorded", EmittedAt: now, LiveStreamID: "li1", VideoID: "vi1"},
		&notification.VideoEncodingQualityCompleted{Type: "video.encoding.quality.completed", EmittedAt: now, LiveStreamID: "li1", VideoID: "vi1", Encoding: "hls", Quality: "720p"},
		&notification.VideoCaptionGenerated{Type: "video.caption.generated", EmittedAt: now, VideoID: "vi1", CaptionID: "cap1", GenerationMode: "transcript", Language: "en"},
		&notification.VideoSummaryGenerated{Type: "video.summary.generated", EmittedAt: now, VideoID: "vi1", SummaryID: "summary1"},
	} {
		for range 2 {
			taken := func(d facadetest.Delivery) bool {
				return d.WebhookID == wh.ID && d.URL == wh.URL && d.Delivered() && slices.ContainsFunc(d.Attempts, accepted)
			}
			if deliveries := server.Deliver(ctx, event); !slices.ContainsFunc(deliveries, taken) {
				return unexpected(false, deliveries)
			}
		}
	}
	return unexpected(calls.Load() == 7 && seen.isNew.Load() == 7 && seen.forgotten.Load() == 1 && seen.done.Load() == 6 && seen.handled.Load() == 6 && seen.inProgress.Load() == 0,
		calls.Load(), seen)
}

func accepted(a facadetest.Attempt) bool { return a.Status == http.StatusAccepted && a.Err == nil }

// read reads all of a notification, and reads it again as a worker would.
func read(n *notification.Notification) error {
	var ids []string
	switch e := n.Event.(type) {
	case *notification.LiveStreamBroadcastStarted:
		ids = []string{string(e.Type), e.LiveStreamID}
	case *notification.LiveStreamBroadcastEnded:
		ids = []string{string(e.Type), e.LiveStreamID}
	case *notification.VideoSourceRecorded:
		ids = []string{string(e.Type), e.LiveStreamID, e.VideoID}
	case *notification.VideoEncodingQualityCompleted:
		ids = []string{string(e.Type), e.LiveStreamID, e.VideoID, e.Encoding, e.Quality}
	case *notification.VideoCaptionGenerated:
		ids = []string{string(e.Type), e.VideoID, e.CaptionID, e.GenerationMode, e.Language}
	case *notification.VideoSummaryGenerated:
		ids = []string{string(e.Type), e.VideoID, e.SummaryID}
	}
	again, err := notification.Decode(n.WebhookID, n.Raw)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := unexpected(id != "" && strings.Contains(string(n.Raw), id), id); err != nil {
			return err
		}
	}
	return unexpected(len(ids) > 1 && ids[0] == string(n.Type) && again.Type == n.Type && again.EmittedAt.Equal(n.EmittedAt) && json.Valid(again.Raw), n)
}

// refuse meets every error of a verifier.
func refuse(ctx context.Context) error {
	server := facadetest.NewServer()
	defer server.Close()
	secret := facade.NewSecret("sig_sec_1")
	known, err := notification.NewVerifier(notification.StaticSecrets(secret), notification.WithMaxAge(time.Minute), notification.WithMaxBody(200))
	if err != nil {
		return err
	}
	unknown, err := notification.NewVerifier(notification.ClientSecrets(server.Client()))
	if err != nil {
		return err
	}
	signed := func(body string) http.Header {
		header := make(http.Header)
		header.Set(notification.HeaderWebhookID, "webhook_1")
		header.Set(notification.HeaderSignature, notification.Sign([]byte(body), secret))
		return header
	}
	const old = `{"type":"video.summary.generated","emittedAt":"2021-01-29T15:46:25Z"}`
	for _, test := range []struct {
		verifier *notification.Verifier
		header   http.Header
		body     string
		want     error
	}{
		{known, nil, old, notification.ErrUnsigned},
		{known, signed("another"), old, notification.ErrBadSignature},
		{known, signed("[]"), "[]", notification.ErrMalformed},
		{known, signed(old), old, notification.ErrStale},
		{known, signed(old), strings.Repeat(old, 3), notification.ErrTooLarge},
		{unknown, signed(old), old, notification.ErrNoSecret},
	} {
		_, err := test.verifier.Verify(ctx, test.header, []byte(test.body))
		if err := unexpected(errors.Is(err, test.want), test.want, err); err != nil {
			return err
		}
	}

	// What a test of a handler would do.
	handler := notification.NewHandler(known, func(context.Context, *notification.Notification) error { return nil })
	for status, event := range map[int]any{
		http.StatusAccepted:     &notification.VideoSummaryGenerated{EmittedAt: time.Now(), VideoID: "vi1"},
		http.StatusUnauthorized: &notification.VideoSummaryGenerated{EmittedAt: time.Now().Add(-time.Hour), VideoID: "vi1"},
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, facadetest.NewNotificationRequest(ctx, "/apivideo", "webhook_1", secret, event))
		if err := unexpected(w.Code == status, w.Code, status); err != nil {
			return err
		}
	}
	return nil
}
