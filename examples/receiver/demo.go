package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// tomorrow is a type that nobody knows yet.
const tomorrow facade.EventType = "video.of.tomorrow"

// demo receives from a server in memory.
func (r *receiver) demo(ctx context.Context) error {
	server := facadetest.NewServer()
	defer server.Close()
	fmt.Fprintf(r.out, "APIVIDEO_API_KEY is not set: using a server in memory, %s\n", server.URL)
	r.addr = "127.0.0.1:0"
	r.events = append(r.events, tomorrow)
	return r.receive(ctx, server.Client(), func(ctx context.Context, wh *facade.Webhook) error {
		return r.send(ctx, server, wh)
	})
}

// send has the server send what may come, and then what must not.
func (r *receiver) send(ctx context.Context, server *facadetest.Server, wh *facade.Webhook) error {
	const live, video = "li4pqNqGUkhKfWcBGpZVLRY5", "vi4k0jvEUuaTdRAEjQ4Jfrgz"
	now := time.Now()

	var events []any
	for _, e := range []struct {
		facade.EventType
		event any
	}{
		{facade.EventLiveStreamBroadcastStarted, &notification.LiveStreamBroadcastStarted{EmittedAt: now, LiveStreamID: live}},
		{facade.EventLiveStreamBroadcastEnded, &notification.LiveStreamBroadcastEnded{EmittedAt: now, LiveStreamID: live}},
		{facade.EventVideoSourceRecorded, &notification.VideoSourceRecorded{EmittedAt: now, LiveStreamID: live, VideoID: video}},
		{facade.EventVideoEncodingQualityCompleted, &notification.VideoEncodingQualityCompleted{EmittedAt: now, VideoID: video, Encoding: "hls", Quality: "720p"}},
		{facade.EventVideoCaptionGenerated, &notification.VideoCaptionGenerated{EmittedAt: now, VideoID: video, CaptionID: "cap_1", GenerationMode: "transcript", Language: "en"}},
		{facade.EventVideoSummaryGenerated, &notification.VideoSummaryGenerated{EmittedAt: now, VideoID: video, SummaryID: "summary_1"}},
	} {
		if slices.Contains(r.events, e.EventType) {
			events = append(events, e.event)
		}
	}
	if len(events) > 0 {
		r.step("One event of each type that it receives")
		if err := r.deliver(ctx, server, events...); err != nil {
			return err
		}
		r.step("The last one again: it is taken, and not printed a second time")
		if err := r.deliver(ctx, server, events[len(events)-1]); err != nil {
			return err
		}
	}

	r.step("One of a type that isn't known yet")
	if err := r.deliver(ctx, server, fmt.Appendf(nil, `{"type":%q,"emittedAt":%q,"videoId":%q}`, tomorrow, now.Format(time.RFC3339), video)); err != nil {
		return err
	}

	r.step("One that somebody forged")
	status, err := forge(ctx, wh)
	if err != nil {
		return err
	}
	if status != http.StatusUnauthorized {
		return fmt.Errorf("a forged notification was answered with %d", status)
	}
	fmt.Fprintf(r.out, "  answered %d\n\n", status)
	return nil
}

// deliver has events happen and tells how they were answered.
func (r *receiver) deliver(ctx context.Context, server *facadetest.Server, events ...any) error {
	for _, event := range events {
		for _, d := range server.Deliver(ctx, event) {
			if !d.OK() {
				return fmt.Errorf("an event is lost: %+v", d)
			}
			fmt.Fprintf(r.out, "  answered %d\n", d.Attempts[len(d.Attempts)-1].Status)
		}
	}
	return nil
}

// forge sends a notification that is signed with another secret.
func forge(ctx context.Context, wh *facade.Webhook) (status int, err error) {
	event := notification.VideoSummaryGenerated{VideoID: "forged", SummaryID: "forged"}
	req := facadetest.NewNotificationRequest(ctx, wh.URL, wh.ID, facade.NewSecret("a guess"), event)
	req.RequestURI = "" // it was for a handler, now it is for a client
	req.Close = true
	resp, err := (&http.Client{Timeout: 10 * time.Second}).Do(req) //nolint:gosec // the url is this program's own
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func (r *receiver) step(title string) { fmt.Fprintf(r.out, "\n%s\n", title) }
