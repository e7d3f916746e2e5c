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

func TestCheckDeduplicator_memory(t *testing.T) {
	t.Parallel()
	for name, shared := range map[string]bool{"the same one": true, "a new one each time": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var d notification.Deduplicator
				open := func() (notification.Deduplicator, error) {
					if d == nil || !shared {
						d = notification.NewMemoryDeduplicator(time.Minute, 100)
					}
					return d, nil
				}
				require.NoError(t, facadetest.CheckDeduplicator(t.Context(), open))
			})
		})
	}
}

// defectiveStore is a Deduplicator with selectable defects.
type defectiveStore struct {
	defects
	mu      sync.Mutex
	entries map[string]storeEntry
}

type storeEntry struct {
	owner   string
	handled bool
	expires time.Time
}

type defects struct {
	ignoresTTL         bool          // claims never expire
	fixedTTL           time.Duration // of all claims, if positive
	ignoresOwnerDone   bool          // Done accepts any owner
	ignoresOwnerForget bool          // Forget accepts any owner
	ownerErrors        bool          // Done and Forget without a claim are errors
	forgetsHandled     bool          // Forget removes handled keys
	doneWithoutClaim   bool          // Done records unknown keys
	doneIgnored        bool          // Done does nothing
	forgetIgnored      bool          // Forget does nothing
	forgetExpiredFails bool          // Forget of an expired claim makes it a live one
	claimExpiryStays   bool          // a handled key expires as its claim would
	lateDoneIgnored    bool          // Done of an expired claim does nothing
	truncates          bool          // keys of equal beginnings are equal
	races              bool          // two callers can get StateNew
	claimsOnError      bool          // Begin claims with a canceled context
	handledIsProgress  bool          // handled keys are reported in progress
	invalidState       bool          // claimed keys have state 0
	fails              bool          // everything is an error
	panics             bool          // everything panics
	latency            time.Duration // of each call, no defect
}

var errStore = errors.New("the store is down")

func (m *defectiveStore) key(key string) string {
	if m.truncates {
		return key[:60]
	}
	return key
}

func (m *defectiveStore) Begin(ctx context.Context, key, owner string, ttl time.Duration) (notification.State, error) {
	<-time.After(m.latency)
	switch {
	case m.fails:
		return 0, errStore
	case m.panics:
		panic("a bug in the store")
	}
	key = m.key(key)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fixedTTL > 0 {
		ttl = m.fixedTTL
	}
	if m.ignoresTTL {
		ttl = time.Hour
	}
	if ctx.Err() != nil {
		if m.claimsOnError {
			m.entries[key] = storeEntry{owner: owner, expires: time.Now().Add(ttl)}
		}
		return 0, ctx.Err()
	}
	e, ok := m.entries[key]
	if m.races {
		m.mu.Unlock()
		<-time.After(time.Millisecond)
		m.mu.Lock()
	}
	switch {
	case !ok || !e.expires.After(time.Now()):
		m.entries[key] = storeEntry{owner: owner, expires: time.Now().Add(ttl)}
		return notification.StateNew, nil
	case e.handled && !m.handledIsProgress:
		return notification.StateHandled, nil
	case m.invalidState:
		return 0, nil
	default:
		return notification.StateInProgress, nil
	}
}

func (m *defectiveStore) Done(_ context.Context, key, owner string) error {
	if m.doneIgnored {
		return nil
	}
	key = m.key(key)
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.entries[key]
	switch {
	case m.lateDoneIgnored && !e.expires.After(time.Now()):
	case ok && !e.handled && (e.owner == owner || m.ignoresOwnerDone), !ok && m.doneWithoutClaim:
		expires := time.Now().Add(time.Hour)
		if m.claimExpiryStays {
			expires = e.expires
		}
		m.entries[key] = storeEntry{handled: true, owner: owner, expires: expires}
	case m.ownerErrors:
		return errStore
	}
	return nil
}

func (m *defectiveStore) Forget(_ context.Context, key, owner string) error {
	key = m.key(key)
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.entries[key]
	owned := ok && (e.owner == owner || m.ignoresOwnerForget)
	switch {
	case m.forgetIgnored:
	case owned && m.forgetExpiredFails && !e.expires.After(time.Now()):
		e.expires = time.Now().Add(time.Hour)
		m.entries[key] = e
	case owned && (!e.handled || m.forgetsHandled):
		delete(m.entries, key)
	case !owned && m.ownerErrors:
		return errStore
	}
	return nil
}

func checkDefects(t *testing.T, d defects) error {
	t.Helper()
	var err error
	synctest.Test(t, func(t *testing.T) {
		m := &defectiveStore{defects: d, entries: make(map[string]storeEntry)}
		err = facadetest.CheckDeduplicator(t.Context(), func() (notification.Deduplicator, error) { return m, nil })
	})
	return err
}

func TestCheckDeduplicator_defects(t *testing.T) {
	t.Parallel()
	require.NoError(t, checkDefects(t, defects{}), "the model itself is correct")
	for _, latency := range []time.Duration{600 * time.Millisecond, 3 * time.Second} {
		require.NoError(t, checkDefects(t, defects{latency: latency}), "slow and correct")
	}
	for name, test := range map[string]struct {
		defects defects
		want    string
	}{
		"claims never expire":             {defects{ignoresTTL: true}, "expired claim: Begin of a claimed key after its ttl returned StateInProgress, want StateNew"},
		"claims expire too early":         {defects{fixedTTL: time.Second}, "expired claim: Begin of a claimed key before its ttl returned StateNew, want StateInProgress"},
		"claims expire too late":          {defects{fixedTTL: 5 * time.Second}, "expired claim: Begin of a claimed key after its ttl returned StateInProgress"},
		"Done of any owner":               {defects{ignoresOwnerDone: true}, "other owner: Begin of a claimed key after Done of another owner returned StateHandled"},
		"Forget of any owner":             {defects{ignoresOwnerForget: true}, "expired claim: Begin of a key after a late Forget of an expired owner returned StateNew"},
		"Done without a claim is error":   {defects{ownerErrors: true}, "unknown key: Done: the store is down"},
		"Forget removes handled keys":     {defects{forgetsHandled: true}, "Done: Begin of a handled key after Forget returned StateNew, want StateHandled"},
		"Done without a claim is handled": {defects{doneWithoutClaim: true}, "unknown key: Begin of a key after Done and Forget without a claim returned StateHandled"},
		"Done does nothing":               {defects{doneIgnored: true}, "Done: Begin of a handled key returned StateInProgress, want StateHandled"},
		"Forget does nothing":             {defects{forgetIgnored: true}, "Forget: Begin of a key after Forget returned StateInProgress, want StateNew"},
		"Forget revives expired claims":   {defects{forgetExpiredFails: true}, "expired claim without successor: Begin of an expired key after Forget returned StateInProgress"},
		"Done of expired claims ignored":  {defects{lateDoneIgnored: true}, "late Done without successor: Begin of a key after a late Done returned StateNew, want StateHandled"},
		"handled expires like a claim":    {defects{claimExpiryStays: true}, "handled before the expiry: Begin of a handled key after the ttl of its claim returned StateNew"},
		"keys are truncated":              {defects{truncates: true}, "similar keys: Begin of a key with another last digit returned StateInProgress"},
		"two claims at once":              {defects{races: true}, "concurrent callers: concurrent Begin of one key returned StateNew to 16 of 16 callers, want 1"},
		"a claim in spite of an error":    {defects{claimsOnError: true}, "canceled context: Begin of a key after an error of Begin returned StateInProgress"},
		"handled is in progress":          {defects{handledIsProgress: true}, "Done: Begin of a handled key returned StateInProgress, want StateHandled"},
		"an invalid state":                {defects{invalidState: true}, "claim: Begin of a claimed key returned State(0), want StateInProgress"},
		"panics":                          {defects{panics: true}, "concurrent callers: concurrent Begin: panic: a bug in the store"},
		"far too slow":                    {defects{latency: time.Hour}, "expired claim: the store is too slow: a call took more than 4s"},
		"errors":                          {defects{fails: true}, "claim: Begin of a new key: the store is down"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, checkDefects(t, test.defects), test.want)
		})
	}
}

func TestCheckDeduplicator_openFails(t *testing.T) {
	t.Parallel()
	err := facadetest.CheckDeduplicator(t.Context(), func() (notification.Deduplicator, error) { return nil, errStore })
	require.ErrorIs(t, err, errStore)
	require.ErrorContains(t, err, "claim: open: the store is down")
	var missing notification.Deduplicator
	err = facadetest.CheckDeduplicator(t.Context(), func() (notification.Deduplicator, error) { return missing, nil })
	assert.ErrorContains(t, err, "claim: open: the result is nil")
}

func TestCheckDeduplicator_canceled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		err := facadetest.CheckDeduplicator(ctx, func() (notification.Deduplicator, error) {
			return &defectiveStore{entries: make(map[string]storeEntry)}, nil
		})
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, start, time.Now(), "no waiting")
	})
}
