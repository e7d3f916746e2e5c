package notification_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade/facadetest"
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

// handle claims key and records that it was handled.
func handle(t *testing.T, d notification.Deduplicator, key string) {
	t.Helper()
	begin(t, d, key, "1", notification.StateNew)
	require.NoError(t, d.Done(t.Context(), key, "1"))
}

func TestMemoryDeduplicator_conformance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, facadetest.CheckDeduplicator(t.Context(), func() (notification.Deduplicator, error) {
			return notification.NewMemoryDeduplicator(time.Minute, 100), nil
		}))
	})
}

func TestMemoryDeduplicator_expiry(t *testing.T) {
	t.Parallel()
	const grace, maxAge, never = time.Minute, time.Hour, 2 * time.Hour
	for name, test := range map[string]struct {
		done  time.Duration // since Begin, if not after again
		again time.Duration // when another owner calls Begin
		want  notification.State
	}{
		"claim":                {never, ttl - 1, notification.StateInProgress},
		"expired claim":        {never, ttl, notification.StateNew},
		"late Done":            {ttl + grace - 1, ttl + grace, notification.StateHandled},
		"Done after the grace": {ttl + grace, ttl + grace, notification.StateNew},
		"handled":              {0, maxAge - 1, notification.StateHandled},
		"forgotten":            {0, maxAge, notification.StateNew},
	} {
		synctest.Test(t, func(t *testing.T) {
			start, d := time.Now(), notification.NewMemoryDeduplicator(maxAge, 10)
			begin(t, d, name, "1", notification.StateNew)
			if test.done <= test.again {
				<-time.After(test.done)
				begin(t, d, "another", "1", notification.StateNew) // removes old claims
				require.NoError(t, d.Done(t.Context(), name, "1"))
				<-time.After((test.again - test.done) / 2)
				require.NoError(t, d.Done(t.Context(), name, "1"), "does not extend the memory")
				require.NoError(t, d.Forget(t.Context(), name, "")) // handled notifications have no owner
			}
			<-time.After(test.again - time.Since(start))
			begin(t, d, name, "2", test.want)
		})
	}
}

// A full memory forgets expired claims first, and then the first handled notification.
func TestMemoryDeduplicator_full(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := notification.NewMemoryDeduplicator(time.Hour, 3)
		begin(t, d, "claimed", "1", notification.StateNew)
		for i := range 100 {
			handle(t, d, strconv.Itoa(i))
		}
		begin(t, d, "99", "2", notification.StateHandled)
		begin(t, d, "98", "2", notification.StateHandled)
		begin(t, d, "claimed", "2", notification.StateInProgress)
		begin(t, d, "97", "2", notification.StateNew) // replaces 98
		begin(t, d, "98", "2", notification.StateNew) // replaces 99
		_, err := d.Begin(t.Context(), "another", "2", ttl)
		require.ErrorContains(t, err, "the deduplicator is full: 3 notifications are in progress")
		require.NoError(t, d.Forget(t.Context(), "98", "2"))
		handle(t, d, "handled")
		<-time.After(ttl) // two claims expire
		begin(t, d, "new 1", "1", notification.StateNew)
		begin(t, d, "new 2", "1", notification.StateNew)
		begin(t, d, "handled", "2", notification.StateHandled)
		assert.Equal(t, 3, notification.Entries(d))
	})
}

// Expired entries are removed without a call for their keys.
func TestMemoryDeduplicator_removesExpired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := notification.NewMemoryDeduplicator(time.Minute, 2000)
		for i := range 1000 {
			handle(t, d, strconv.Itoa(i))
			begin(t, d, "claim "+strconv.Itoa(i), "1", notification.StateNew)
		}
		<-time.After(ttl + time.Minute)
		begin(t, d, "999", "2", notification.StateNew) // behind other entries
		for i := range 499 {
			begin(t, d, "new "+strconv.Itoa(i), "2", notification.StateNew)
		}
		assert.Equal(t, 500, notification.Entries(d), "the new ones")
	})
}
