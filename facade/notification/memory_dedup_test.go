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

const ttl = 5 * time.Second

// begin claims key and asserts the state.
func begin(t *testing.T, d notification.Deduplicator, key, owner string, want notification.State) {
	t.Helper()
	state, err := d.Begin(t.Context(), key, owner, ttl)
	require.NoError(t, err)
	assert.Equal(t, want, state, key)
}

func TestMemoryDeduplicator_claim(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := notification.NewMemoryDeduplicator(time.Minute, 10)
		begin(t, d, "a", "1", notification.StateNew)
		<-time.After(ttl - 1)
		begin(t, d, "a", "2", notification.StateInProgress)
		<-time.After(1)
		begin(t, d, "a", "3", notification.StateNew)
		require.NoError(t, d.Forget(t.Context(), "a", "1"))
		require.NoError(t, d.Done(t.Context(), "a", "1"))
		begin(t, d, "a", "4", notification.StateInProgress)
		require.NoError(t, d.Forget(t.Context(), "a", "3"))
		begin(t, d, "a", "5", notification.StateNew)
	})
}

// A function that is slower than its claim returns after its claim has expired.
func TestMemoryDeduplicator_lateDone(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		late time.Duration // after the expiry
		want notification.State
	}{
		"within the grace period": {time.Minute - 1, notification.StateHandled},
		"after the grace period":  {time.Minute, notification.StateNew},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := notification.NewMemoryDeduplicator(time.Hour, 10)
				begin(t, d, "a", "1", notification.StateNew)
				<-time.After(ttl + test.late)
				begin(t, d, "other", "1", notification.StateNew) // removes old claims
				require.NoError(t, d.Done(t.Context(), "a", "1"))
				begin(t, d, "a", "2", test.want)
			})
		})
	}
}

// Expired claims are removed before handled notifications.
func TestMemoryDeduplicator_fullOfExpiredClaims(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := notification.NewMemoryDeduplicator(time.Hour, 3)
		begin(t, d, "handled", "1", notification.StateNew)
		require.NoError(t, d.Done(t.Context(), "handled", "1"))
		begin(t, d, "expired 1", "1", notification.StateNew)
		begin(t, d, "expired 2", "1", notification.StateNew)
		<-time.After(ttl)
		begin(t, d, "new 1", "1", notification.StateNew)
		begin(t, d, "new 2", "1", notification.StateNew)
		begin(t, d, "handled", "2", notification.StateHandled)
		assert.Equal(t, 3, notification.Entries(d))
	})
}

func TestMemoryDeduplicator_memory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := notification.NewMemoryDeduplicator(time.Minute, 10)
		begin(t, d, "a", "1", notification.StateNew)
		require.NoError(t, d.Done(t.Context(), "a", "1"))
		<-time.After(time.Minute - 1)
		require.NoError(t, d.Done(t.Context(), "a", "1")) // keeps the expiry
		begin(t, d, "a", "2", notification.StateHandled)
		<-time.After(1)
		begin(t, d, "a", "3", notification.StateNew)
	})
}

func TestMemoryDeduplicator_handledOwner(t *testing.T) {
	t.Parallel()
	d := notification.NewMemoryDeduplicator(time.Minute, 10)
	begin(t, d, "a", "1", notification.StateNew)
	require.NoError(t, d.Done(t.Context(), "a", "1"))
	require.NoError(t, d.Forget(t.Context(), "a", "")) // handled entries have no owner
	begin(t, d, "a", "2", notification.StateHandled)
}

func TestMemoryDeduplicator_full(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := notification.NewMemoryDeduplicator(time.Hour, 3)
		begin(t, d, "claimed", "1", notification.StateNew)
		for i := range 100 {
			key := strconv.Itoa(i)
			begin(t, d, key, "1", notification.StateNew)
			require.NoError(t, d.Done(t.Context(), key, "1"))
			assert.LessOrEqual(t, notification.Entries(d), 3)
		}
		begin(t, d, "99", "2", notification.StateHandled)
		begin(t, d, "98", "2", notification.StateHandled)
		begin(t, d, "claimed", "2", notification.StateInProgress)
		begin(t, d, "97", "2", notification.StateNew) // replaces 98
		begin(t, d, "98", "2", notification.StateNew) // replaces 99
		_, err := d.Begin(t.Context(), "another", "2", ttl)
		require.ErrorContains(t, err, "the deduplicator is full: 3 notifications are in progress")
		begin(t, d, "98", "3", notification.StateInProgress)
		require.NoError(t, d.Forget(t.Context(), "98", "2"))
		begin(t, d, "another", "2", notification.StateNew)
		<-time.After(ttl) // the claims expire
		begin(t, d, "after the ttl", "2", notification.StateNew)
	})
}

// Expired entries are removed without a call for their keys.
func TestMemoryDeduplicator_removesExpired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := notification.NewMemoryDeduplicator(time.Minute, 2000)
		for i := range 1000 {
			key := strconv.Itoa(i)
			begin(t, d, key, "1", notification.StateNew)
			require.NoError(t, d.Done(t.Context(), key, "1"))
			begin(t, d, "dead "+key, "1", notification.StateNew)
		}
		<-time.After(ttl + time.Minute)
		begin(t, d, "999", "2", notification.StateNew) // behind other entries
		for i := range 499 {
			begin(t, d, fmt.Sprint("new ", i), "2", notification.StateNew)
		}
		assert.Equal(t, 500, notification.Entries(d), "the new ones")
	})
}

func TestMemoryDeduplicator_concurrent(t *testing.T) {
	t.Parallel()
	d := notification.NewMemoryDeduplicator(time.Hour, 100)
	var claims atomic.Int64
	var all sync.WaitGroup
	for caller := range 64 {
		all.Go(func() {
			owner := fmt.Sprint("caller ", caller)
			for i := range 100 {
				state, err := d.Begin(t.Context(), strconv.Itoa(i), owner, time.Hour)
				assert.NoError(t, err)
				if state == notification.StateNew {
					claims.Add(1)
					assert.NoError(t, d.Done(t.Context(), strconv.Itoa(i), owner))
				}
			}
		})
	}
	all.Wait()
	assert.Equal(t, int64(100), claims.Load())
}

func TestNewMemoryDeduplicator_invalid(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		age     time.Duration
		entries int
	}{{0, 1}, {-1, 1}, {1, 0}, {1, -1}} {
		assert.PanicsWithValue(t, "apivideo: NewMemoryDeduplicator: both arguments must be positive", func() {
			notification.NewMemoryDeduplicator(test.age, test.entries)
		})
	}
}
