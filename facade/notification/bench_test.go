//go:build !race

// The race detector changes the durations and the allocations.

package notification_test

import (
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

	"github.com/stretchr/testify/assert"
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

// The test runs alone, because AllocsPerRun counts the allocations of all goroutines.
//
//nolint:paralleltest // AllocsPerRun counts all goroutines
func TestVerify_allocations(t *testing.T) {
	v, ctx, header, body := newVerifier(t), t.Context(), vectorHeader(), []byte(vectorBody)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		if _, err := v.Authenticate(ctx, header, body); err != nil {
			t.Error(err)
		}
	}))
}

// BenchmarkVerifyOnly compares with a reused HMAC and one hex encoding.
func BenchmarkVerifyOnly(b *testing.B) {
	header, body := vectorHeader(), []byte(vectorBody)
	mac, want := hmac.New(sha256.New, []byte(vectorSecret)), []byte(vectorSignature)
	var sum [sha256.Size]byte
	var text [2 * sha256.Size]byte
	bench(b, viaFloor, func() error {
		mac.Reset()
		mac.Write(body)
		hex.Encode(text[:], mac.Sum(sum[:0]))
		if !hmac.Equal(text[:], want) {
			return errFloor
		}
		return nil
	})
	v, ctx := newVerifier(b), b.Context()
	bench(b, viaFacade, func() error {
		_, err := v.Authenticate(ctx, header, body)
		return err
	})
}

// BenchmarkVerifyDecode compares with handwritten code for one secret and type.
func BenchmarkVerifyDecode(b *testing.B) {
	header, body := vectorHeader(), []byte(vectorBody)
	bench(b, viaFloor, func() error { return floorVerify(header, body) })
	v, ctx := newVerifier(b), b.Context()
	bench(b, viaFacade, func() error {
		n, err := v.Verify(ctx, header, body)
		if err == nil && n.Event == nil {
			err = errFloor
		}
		return err
	})
}

// BenchmarkHandler delivers over one connection.
func BenchmarkHandler(b *testing.B) {
	for _, via := range []struct {
		name    string
		handler http.Handler
	}{{viaFloor, http.HandlerFunc(floorHandler)}, {viaFacade, notification.NewHandler(newVerifier(b), accept)}} {
		server := httptest.NewServer(via.handler)
		header, client, ctx := vectorHeader(), server.Client(), b.Context()
		bench(b, via.name, func() error {
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
			if _, err = io.Copy(io.Discard, resp.Body); resp.StatusCode != http.StatusAccepted {
				err = errFloor
			}
			return err
		})
		server.Close()
	}
}

// BenchmarkMemoryDeduplicator measures a full deduplicator.
func BenchmarkMemoryDeduplicator(b *testing.B) {
	d, ctx := notification.NewMemoryDeduplicator(1e9, 10_000), b.Context()
	var key [8]byte
	measure(b, func() error {
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

func bench(b *testing.B, name string, call func() error) {
	b.Helper()
	b.Run(name, func(b *testing.B) { measure(b, call) })
}

func measure(b *testing.B, call func() error) {
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
func floorVerify(header http.Header, body []byte) error {
	signature, err := hex.DecodeString(header.Get("X-Api-Video-Signature"))
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, []byte(vectorSecret))
	mac.Write(body)
	if !hmac.Equal(mac.Sum(nil), signature) {
		return errFloor
	}
	event := new(notification.VideoEncodingQualityCompleted)
	return json.Unmarshal(body, event)
}

func floorHandler(w http.ResponseWriter, r *http.Request) {
	status := http.StatusAccepted
	if body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20)); err != nil {
		status = http.StatusRequestEntityTooLarge
	} else if r.Method != http.MethodPost || floorVerify(r.Header, body) != nil {
		status = http.StatusUnauthorized
	}
	http.Error(w, http.StatusText(status), status)
}
