package notification_test

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// begins asserts what Begin returns.
func begins(t *testing.T, d notification.Deduplicator, key string, want notification.State) {
	t.Helper()
	state, err := d.Begin(t.Context(), key)
	require.NoError(t, err)
	assert.Equal(t, want, state, key)
}

func TestMemoryDeduplicatorRemembers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := notification.NewMemoryDeduplicator(time.Minute, 10)
		begins(t, d, "a", notification.StateNew)
		begins(t, d, "a", notification.StateInProgress)
		<-time.After(time.Hour)
		begins(t, d, "a", notification.StateInProgress)
		require.NoError(t, d.Forget(t.Context(), "a"))
		begins(t, d, "a", notification.StateNew)
		require.NoError(t, d.Done(t.Context(), "a"))
		begins(t, d, "a", notification.StateHandled)
		require.NoError(t, d.Forget(t.Context(), "a"))
		begins(t, d, "a", notification.StateHandled)
		<-time.After(time.Minute - 1)
		require.NoError(t, d.Done(t.Context(), "a"))
		begins(t, d, "a", notification.StateHandled)
		<-time.After(1)
		begins(t, d, "a", notification.StateNew)
		<-time.After(time.Minute) // the second Done has left nothing behind
		begins(t, d, "a", notification.StateInProgress)

		require.NoError(t, d.Done(t.Context(), "unknown"))
		require.NoError(t, d.Forget(t.Context(), "unknown"))
		begins(t, d, "unknown", notification.StateNew)
	})
}

func TestMemoryDeduplicatorIsBounded(t *testing.T) {
	t.Parallel()
	d := notification.NewMemoryDeduplicator(time.Hour, 3)
	begins(t, d, "running", notification.StateNew)
	for i := range 100 {
		key := strconv.Itoa(i)
		begins(t, d, key, notification.StateNew)
		require.NoError(t, d.Done(t.Context(), key))
		assert.LessOrEqual(t, notification.Entries(d), 3)
	}
	begins(t, d, "99", notification.StateHandled)
	begins(t, d, "98", notification.StateHandled)
	begins(t, d, "running", notification.StateInProgress)
	begins(t, d, "97", notification.StateNew) // forgotten, and forgets 98
	begins(t, d, "98", notification.StateNew) // and this 99
	_, err := d.Begin(t.Context(), "one too many")
	require.ErrorContains(t, err, "3 notifications are being handled")
	begins(t, d, "98", notification.StateInProgress)
	require.NoError(t, d.Forget(t.Context(), "98"))
	begins(t, d, "one too many", notification.StateNew)
}

// What is too old goes although nobody asks for it, and though much of it is
// too old at once: it is gone when half as many have come.
func TestMemoryDeduplicatorForgetsInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := notification.NewMemoryDeduplicator(time.Minute, 1000)
		for i := range 1000 {
			key := strconv.Itoa(i)
			begins(t, d, key, notification.StateNew)
			require.NoError(t, d.Done(t.Context(), key))
		}
		<-time.After(time.Minute)
		begins(t, d, "999", notification.StateNew) // not at the front of those that go
		for i := range 499 {
			begins(t, d, fmt.Sprint("new ", i), notification.StateNew)
		}
		assert.Equal(t, 500, notification.Entries(d), "those that have come")
	})
}

func TestMemoryDeduplicatorLetsOneIn(t *testing.T) {
	t.Parallel()
	d := notification.NewMemoryDeduplicator(time.Hour, 100)
	var firsts atomic.Int64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for i := range 100 {
				state, err := d.Begin(t.Context(), strconv.Itoa(i))
				assert.NoError(t, err)
				if state == notification.StateNew {
					firsts.Add(1)
					assert.NoError(t, d.Done(t.Context(), strconv.Itoa(i)))
				}
			}
		})
	}
	all.Wait()
	assert.Equal(t, int64(100), firsts.Load())
}

func TestMemoryDeduplicatorNeedsBounds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		age     time.Duration
		entries int
	}{{0, 1}, {-1, 1}, {1, 0}, {1, -1}} {
		assert.PanicsWithValue(t, "apivideo: NewMemoryDeduplicator: both bounds must be positive", func() {
			notification.NewMemoryDeduplicator(tt.age, tt.entries)
		})
	}
}
