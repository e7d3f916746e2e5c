package bench_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	stripe "github.com/stripe/stripe-go/v85/webhook"
	svix "github.com/svix/svix-webhooks/go"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

const (
	secret  = "sig_sec_0000000000000000000000"
	videoID = "vi0000000000000000000000"
)

var errRefused = errors.New("refused")

// receiver verifies a notification that was signed its own way, refuses one that
// is older than five minutes, and decodes it.
type receiver struct {
	via     string
	receive func() error
}

// A notification as the service sends it.
func BenchmarkNotification(b *testing.B) {
	for _, r := range receivers(b, body(0)) {
		b.Run(r.via, func(b *testing.B) { one(b, r.receive) })
	}
}

// One that has 4 KiB, in members that nobody here has a field for.
func BenchmarkNotification4KiB(b *testing.B) {
	for _, r := range receivers(b, body(4096)) {
		b.Run(r.via, func(b *testing.B) { one(b, r.receive) })
	}
}

// 64 goroutines that share what can be shared.
func BenchmarkNotification64(b *testing.B) {
	for _, r := range receivers(b, body(0)) {
		if r.via != viaHMAC { // it is for one goroutine
			b.Run(r.via, func(b *testing.B) { parallel64(b, r.receive) })
		}
	}
}

// body returns a notification that is as long as that, if it isn't longer.
// Stripe's library wants the member object.
func body(size int) []byte {
	text := fmt.Sprintf(`{"type":"video.encoding.quality.completed","emittedAt":%q,"videoId":%q,`+
		`"liveStreamId":"li0000000000000000000000","encoding":"hls","quality":"720p","object":"event"`, time.Now().Format(time.RFC3339), videoID)
	for i := 0; len(text) < size; i++ {
		text += fmt.Sprintf(`,"member%d":{"name":"value %d","number":%d,"list":[true,false,null]}`, i, i, i)
	}
	return []byte(text + "}")
}

func receivers(b *testing.B, payload []byte) []receiver {
	b.Helper()
	return []receiver{
		{viaFloor, byHand(payload)},
		{viaFacade, byFacade(b, payload)},
		{viaStripe, byStripe(payload)},
		{viaSvix, bySvix(b, payload)},
		{viaHMAC, byHMAC(payload)},
	}
}

// byHand is what one would write for a single secret and type.
func byHand(payload []byte) func() error {
	header := make(http.Header)
	header.Set("X-Api-Video-Signature", notification.Sign(payload, facade.NewSecret(secret)))
	return func() error {
		signature, err := hex.DecodeString(header.Get("X-Api-Video-Signature"))
		if err != nil {
			return err
		}
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(payload)
		if !hmac.Equal(mac.Sum(nil), signature) {
			return errRefused
		}
		var event notification.VideoEncodingQualityCompleted
		if err := json.Unmarshal(payload, &event); err != nil {
			return err
		}
		if event.VideoID != videoID || time.Since(event.EmittedAt).Abs() > 5*time.Minute {
			return errRefused
		}
		return nil
	}
}

func byFacade(b *testing.B, payload []byte) func() error {
	b.Helper()
	verifier, err := notification.NewVerifier(notification.StaticSecrets(facade.NewSecret(secret)), notification.WithMaxAge(5*time.Minute))
	require.NoError(b, err)
	header := make(http.Header)
	header.Set(notification.HeaderWebhookID, "webhook_4XbQpGz7mWkT2nVr8sYcLd")
	header.Set(notification.HeaderSignature, notification.Sign(payload, facade.NewSecret(secret)))
	ctx := b.Context()
	return func() error {
		n, err := verifier.Verify(ctx, header, payload)
		if err != nil {
			return err
		}
		if event, ok := n.Event.(*notification.VideoEncodingQualityCompleted); !ok || event.VideoID != videoID {
			return errRefused
		}
		return nil
	}
}

// byStripe gets an event of which the members common to all events are decoded.
func byStripe(payload []byte) func() error {
	now := time.Now()
	header := fmt.Sprintf("t=%d,v1=%x", now.Unix(), stripe.ComputeSignature(now, payload, secret))
	options := stripe.ConstructEventOptions{IgnoreAPIVersionMismatch: true}
	return func() error {
		event, err := stripe.ConstructEventWithOptions(payload, header, secret, options)
		if err == nil && event.Type != "video.encoding.quality.completed" {
			err = errRefused
		}
		return err
	}
}

// bySvix verifies with the library, which leaves decoding to its user.
func bySvix(b *testing.B, payload []byte) func() error {
	b.Helper()
	webhook, err := svix.NewWebhookRaw([]byte(secret))
	require.NoError(b, err)
	now := time.Now()
	signature, err := webhook.Sign("msg_1", now, payload)
	require.NoError(b, err)
	header := make(http.Header)
	header.Set("svix-id", "msg_1")
	header.Set("svix-timestamp", strconv.FormatInt(now.Unix(), 10))
	header.Set("svix-signature", signature)
	return func() error {
		if err := webhook.Verify(payload, header); err != nil {
			return err
		}
		var event notification.VideoEncodingQualityCompleted
		if err := json.Unmarshal(payload, &event); err != nil {
			return err
		}
		if event.VideoID != videoID {
			return errRefused
		}
		return nil
	}
}

// byHMAC is the one thing that all of them can't do without, in memory that is
// kept.
func byHMAC(payload []byte) func() error {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(payload)
	want := mac.Sum(nil)
	var sum [sha256.Size]byte
	return func() error {
		mac.Reset()
		mac.Write(payload)
		if !hmac.Equal(mac.Sum(sum[:0]), want) {
			return errRefused
		}
		return nil
	}
}
