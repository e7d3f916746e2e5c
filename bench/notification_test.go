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

var errRejected = errors.New("rejected")

// receiver verifies a signed notification, checks that its age is at most five
// minutes and decodes it. Each variant has its own signature scheme.
type receiver struct {
	via     string
	receive func() error
}

func BenchmarkNotification(b *testing.B) {
	for _, r := range receivers(b, body(0)) {
		b.Run(r.via, func(b *testing.B) { serial(b, r.receive) })
	}
}

// BenchmarkNotification4KiB has a notification of 4 KiB with unknown fields.
func BenchmarkNotification4KiB(b *testing.B) {
	for _, r := range receivers(b, body(4096)) {
		b.Run(r.via, func(b *testing.B) { serial(b, r.receive) })
	}
}

// BenchmarkNotification64 shares one receiver of each variant in 64 goroutines.
func BenchmarkNotification64(b *testing.B) {
	for _, r := range receivers(b, body(0)) {
		if r.via != viaHMAC { // not safe for concurrent use
			b.Run(r.via, func(b *testing.B) { parallel64(b, r.receive) })
		}
	}
}

// body returns a notification of at least size bytes. The Stripe library requires
// the object field.
func body(size int) []byte {
	text := fmt.Sprintf(`{"type":"video.encoding.quality.completed","emittedAt":%q,"videoId":%q,`+
		`"liveStreamId":"li0000000000000000000000","encoding":"hls","quality":"720p","object":"event"`, time.Now().Format(time.RFC3339), videoID)
	for i := 0; len(text) < size; i++ {
		text += fmt.Sprintf(`,"field%d":{"name":"value %d","number":%d,"list":[true,false,null]}`, i, i, i)
	}
	return []byte(text + "}")
}

func receivers(b *testing.B, payload []byte) []receiver {
	b.Helper()
	return []receiver{
		{viaFloor, receiveFloor(payload)},
		{viaFacade, receiveFacade(b, payload)},
		{viaStripe, receiveStripe(payload)},
		{viaSvix, receiveSvix(b, payload)},
		{viaHMAC, receiveHMAC(payload)},
	}
}

// receiveFloor is handwritten code for a single secret and event type.
func receiveFloor(payload []byte) func() error {
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
			return errRejected
		}
		var event notification.VideoEncodingQualityCompleted
		if err := json.Unmarshal(payload, &event); err != nil {
			return err
		}
		if event.VideoID != videoID || time.Since(event.EmittedAt).Abs() > 5*time.Minute {
			return errRejected
		}
		return nil
	}
}

func receiveFacade(b *testing.B, payload []byte) func() error {
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
			return errRejected
		}
		return nil
	}
}

// receiveStripe decodes the common fields of all events only.
func receiveStripe(payload []byte) func() error {
	now := time.Now()
	header := fmt.Sprintf("t=%d,v1=%x", now.Unix(), stripe.ComputeSignature(now, payload, secret))
	options := stripe.ConstructEventOptions{IgnoreAPIVersionMismatch: true}
	return func() error {
		event, err := stripe.ConstructEventWithOptions(payload, header, secret, options)
		if err == nil && event.Type != "video.encoding.quality.completed" {
			err = errRejected
		}
		return err
	}
}

// receiveSvix verifies with the library and decodes with encoding/json.
func receiveSvix(b *testing.B, payload []byte) func() error {
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
			return errRejected
		}
		return nil
	}
}

// receiveHMAC computes the signature only and reuses its memory.
func receiveHMAC(payload []byte) func() error {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(payload)
	want := mac.Sum(nil)
	var sum [sha256.Size]byte
	return func() error {
		mac.Reset()
		mac.Write(payload)
		if !hmac.Equal(mac.Sum(sum[:0]), want) {
			return errRejected
		}
		return nil
	}
}
