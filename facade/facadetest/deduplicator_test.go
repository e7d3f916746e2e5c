package facadetest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

var errStore = errors.New("the store is down")

// A defectiveStore is a Deduplicator with a defect of TestCheckDeduplicator_defects.
// The store is correct if the defect is empty.
type defectiveStore struct {
	defect  string
	latency time.Duration // of Begin

	mu      sync.Mutex
	entries map[string]storeEntry
}

type storeEntry struct {
	owner   string
	handled bool
	expires time.Time
}

func (e storeEntry) expired() bool { return !e.expires.After(time.Now()) }

func (s *defectiveStore) Begin(ctx context.Context, key, owner string, ttl time.Duration) (notification.State, error) {
	<-time.After(s.latency)
	switch s.defect {
	case "errors":
		return 0, errStore
	case "panics":
		panic("a bug in the store")
	case "claims never expire":
		ttl = time.Hour
	case "claims expire too early":
		ttl = time.Second
	case "claims expire too late":
		ttl = 5 * time.Second
	case "keys are truncated":
		key = key[:60]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key]
	if s.defect == "two claims at once" {
		s.mu.Unlock()
		<-time.After(time.Millisecond)
		s.mu.Lock()
	}
	switch {
	case ctx.Err() != nil && s.defect != "a claim in spite of an error":
	case e.expired():
		s.entries[key] = storeEntry{owner: owner, expires: time.Now().Add(ttl)}
		return notification.StateNew, ctx.Err()
	case e.handled && s.defect != "handled is in progress":
		return notification.StateHandled, nil
	case s.defect != "an invalid state":
		return notification.StateInProgress, nil
	}
	return 0, ctx.Err()
}

func (s *defectiveStore) Done(_ context.Context, key, owner string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, known := s.entries[key]
	owned := e.owner == owner || s.defect == "Done of any owner"
	handled := storeEntry{owner: owner, handled: true, expires: time.Now().Add(time.Hour)}
	switch {
	case s.defect == "Done does nothing":
	case s.defect == "Done of expired claims ignored" && e.expired():
	case s.defect == "handled expires like a claim":
		e.handled = true
		s.entries[key] = e
	case known && owned && !e.handled, !known && s.defect == "Done without a claim is handled":
		s.entries[key] = handled
	case s.defect == "Done without a claim is error":
		return errStore
	}
	return nil
}

func (s *defectiveStore) Forget(_ context.Context, key, owner string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key]
	owned := e.owner == owner || s.defect == "Forget of any owner"
	switch {
	case s.defect == "Forget does nothing":
	case s.defect == "Forget revives expired claims" && owned && e.expired():
		e.expires = time.Now().Add(time.Hour)
		s.entries[key] = e
	case owned && (!e.handled || s.defect == "Forget removes handled keys"):
		delete(s.entries, key)
	case !owned && s.defect == "Forget without a claim is error":
		return errStore
	}
	return nil
}

// check checks a Deduplicator. No real time passes.
func check(t *testing.T, d notification.Deduplicator) (err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		err = facadetest.CheckDeduplicator(t.Context(), func() (notification.Deduplicator, error) { return d, nil })
	})
	return err
}

func newStore(defect string, latency time.Duration) *defectiveStore {
	return &defectiveStore{defect: defect, latency: latency, entries: make(map[string]storeEntry)}
}

func TestCheckDeduplicator(t *testing.T) {
	t.Parallel()
	require.NoError(t, check(t, notification.NewMemoryDeduplicator(time.Minute, 100)))
	for _, latency := range []time.Duration{0, 600 * time.Millisecond, 3 * time.Second} {
		require.NoError(t, check(t, newStore("", latency)), "a correct store with a latency of %v", latency)
	}
	require.ErrorContains(t, check(t, newStore("", time.Hour)), "expired claim: the store is too slow: a call took more than 4s")
	require.ErrorContains(t, check(t, nil), "claim: open: the result is nil")
	err := facadetest.CheckDeduplicator(t.Context(), func() (notification.Deduplicator, error) { return nil, errStore })
	require.ErrorIs(t, err, errStore)
	require.ErrorContains(t, err, "claim: open: the store is down")
}

func TestCheckDeduplicator_defects(t *testing.T) {
	t.Parallel()
	for defect, want := range map[string]string{
		"claims never expire":             "expired claim: Begin of a claimed key after its ttl returned StateInProgress, want StateNew",
		"claims expire too early":         "expired claim: Begin of a claimed key before its ttl returned StateNew, want StateInProgress",
		"claims expire too late":          "expired claim: Begin of a claimed key after its ttl returned StateInProgress",
		"Done of any owner":               "other owner: Begin of a claimed key after Done of another owner returned StateHandled",
		"Forget of any owner":             "expired claim: Begin of a key after a late Forget of an expired owner returned StateNew",
		"Done without a claim is error":   "unknown key: Done: the store is down",
		"Forget without a claim is error": "unknown key: Forget: the store is down",
		"Forget removes handled keys":     "Done: Begin of a handled key after Forget returned StateNew, want StateHandled",
		"Done without a claim is handled": "unknown key: Begin of a key after Done and Forget without a claim returned StateHandled",
		"Done does nothing":               "Done: Begin of a handled key returned StateInProgress, want StateHandled",
		"Forget does nothing":             "Forget: Begin of a key after Forget returned StateInProgress, want StateNew",
		"Forget revives expired claims":   "expired claim without successor: Begin of an expired key after Forget returned StateInProgress",
		"Done of expired claims ignored":  "late Done without successor: Begin of a key after a late Done returned StateNew",
		"handled expires like a claim":    "handled before the expiry: Begin of a handled key after the ttl of its claim returned StateNew",
		"keys are truncated":              "similar keys: Begin of a key with another last digit returned StateInProgress",
		"two claims at once":              "concurrent callers: concurrent Begin of one key returned StateNew to 16 of 16 callers, want 1",
		"a claim in spite of an error":    "canceled context: Begin of a key after an error of Begin returned StateInProgress",
		"handled is in progress":          "Done: Begin of a handled key returned StateInProgress, want StateHandled",
		"an invalid state":                "claim: Begin of a claimed key returned State(0), want StateInProgress",
		"panics":                          "concurrent callers: concurrent Begin: panic: a bug in the store",
		"errors":                          "claim: Begin of a new key: the store is down",
	} {
		t.Run(defect, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, check(t, newStore(defect, 0)), want)
		})
	}
}

func TestCheckDeduplicator_canceled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		open := func() (notification.Deduplicator, error) { return newStore("", 0), nil }
		require.ErrorIs(t, facadetest.CheckDeduplicator(ctx, open), context.Canceled)
		assert.Equal(t, start, time.Now(), "no waiting")
	})
}
