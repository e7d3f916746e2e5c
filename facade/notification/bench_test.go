package notification_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// The variants of each benchmark: handwritten code and this package. benchstat
// makes a column of each text after "via=".
const (
	viaFloor  = "via=floor"
	viaFacade = "via=facade"
)

var errFloor = errors.New("rejected")

// BenchmarkVerifyOnly compares with a reused HMAC and one hex encoding.
func BenchmarkVerifyOnly(b *testing.B) {
	header, body := signedHeader(webhookID, vectorBody, secret), []byte(vectorBody)
	b.Run(viaFloor, func(b *testing.B) {
		mac := hmac.New(sha256.New, []byte(vectorSecret))
		want := []byte(vectorSignature)
		var sum [sha256.Size]byte
		var text [2 * sha256.Size]byte
		bench(b, func() error {
			mac.Reset()
			mac.Write(body)
			hex.Encode(text[:], mac.Sum(sum[:0]))
			if !hmac.Equal(text[:], want) {
				return errFloor
			}
			return nil
		})
	})
	b.Run(viaFacade, func(b *testing.B) {
		v, ctx := newVerifier(b), b.Context()
		bench(b, func() error {
			_, err := v.Authenticate(ctx, header, body)
			return err
		})
	})
}

// BenchmarkVerifyDecode compares with handwritten code for one secret and type.
func BenchmarkVerifyDecode(b *testing.B) {
	header, body := signedHeader(webhookID, vectorBody, secret), []byte(vectorBody)
	b.Run(viaFloor, func(b *testing.B) {
		bench(b, func() error {
			_, err := floorVerify(header, body)
			return err
		})
	})
	b.Run(viaFacade, func(b *testing.B) {
		v, ctx := newVerifier(b), b.Context()
		bench(b, func() error {
			n, err := v.Verify(ctx, header, body)
			if err == nil && n.Event == nil {
				err = errFloor
			}
			return err
		})
	})
}

// BenchmarkHandler delivers over one connection.
func BenchmarkHandler(b *testing.B) {
	deliver := func(b *testing.B, handler http.Handler) {
		b.Helper()
		server := httptest.NewServer(handler)
		b.Cleanup(server.Close)
		header, client, ctx := signedHeader(webhookID, vectorBody, secret), server.Client(), b.Context()
		bench(b, func() error {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, strings.NewReader(vectorBody))
			if err != nil {
				return err
			}
			req.Header = header
			resp, err := client.Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			_, _ = io.Copy(io.Discard, resp.Body)
			if resp.StatusCode != http.StatusAccepted {
				return errors.New(resp.Status)
			}
			return nil
		})
	}
	b.Run(viaFloor, func(b *testing.B) { deliver(b, http.HandlerFunc(floorHandler)) })
	b.Run(viaFacade, func(b *testing.B) { deliver(b, notification.NewHandler(newVerifier(b), accept)) })
}

// BenchmarkMemoryDeduplicator measures a full deduplicator.
func BenchmarkMemoryDeduplicator(b *testing.B) {
	d, ctx := notification.NewMemoryDeduplicator(1e9, 10_000), b.Context()
	var key [8]byte
	bench(b, func() error {
		for i := range key {
			if key[i]++; key[i] != 0 {
				break
			}
		}
		if state, err := d.Begin(ctx, string(key[:]), "owner", time.Minute); err != nil || state != notification.StateNew {
			return errFloor
		}
		return d.Done(ctx, string(key[:]), "owner")
	})
}

func bench(b *testing.B, call func() error) {
	b.Helper()
	require.NoError(b, call())
	b.ReportAllocs()
	for b.Loop() {
		if err := call(); err != nil {
			b.Fatal(err)
		}
	}
}

// floorVerify is handwritten for one secret and type.
func floorVerify(header http.Header, body []byte) (*notification.VideoEncodingQualityCompleted, error) {
	signature, err := hex.DecodeString(header.Get("X-Api-Video-Signature"))
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, []byte(vectorSecret))
	mac.Write(body)
	if !hmac.Equal(mac.Sum(nil), signature) {
		return nil, errFloor
	}
	var event notification.VideoEncodingQualityCompleted
	if err := json.Unmarshal(body, &event); err != nil {
		return nil, err
	}
	return &event, nil
}

func floorHandler(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, "Request Entity Too Large", http.StatusRequestEntityTooLarge)
		return
	}
	event, err := floorVerify(r.Header, body)
	if err != nil {
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return
	}
	if err := floorHandle(r.Context(), event); err != nil {
		http.Error(w, "Internal Server Error", http.StatusInternalServerError)
		return
	}
	http.Error(w, "Accepted", http.StatusAccepted)
}

func floorHandle(context.Context, *notification.VideoEncodingQualityCompleted) error { return nil }
