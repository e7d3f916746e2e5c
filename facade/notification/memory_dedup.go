package notification

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"
)

// NewMemoryDeduplicator returns a Deduplicator for one process. Handled
// notifications are remembered for maxAge. At most maxEntries notifications of about
// 300 bytes each are in memory. A full memory forgets the notification that was
// handled first. Begin returns an error if all notifications are in progress.
//
// A claim stays for a minute after its ttl, so that a late Done counts. A full memory
// removes expired claims first.
//
// Twice the duration of [WithMaxAge] rejects every replay. Without WithMaxAge a few
// minutes are enough for the redeliveries of the service. NewMemoryDeduplicator
// panics unless both arguments are positive. There is nothing to close.
func NewMemoryDeduplicator(maxAge time.Duration, maxEntries int) Deduplicator {
	if maxAge <= 0 || maxEntries <= 0 {
		panic("apivideo: NewMemoryDeduplicator: both arguments must be positive")
	}
	return &memoryDeduplicator{maxAge: maxAge, maxEntries: maxEntries, entries: make(map[string]*list.Element)}
}

// claimGrace is the time that an expired claim stays in memory.
const claimGrace = time.Minute

type memoryDeduplicator struct {
	maxAge     time.Duration
	maxEntries int

	mu      sync.Mutex
	entries map[string]*list.Element // each in one of the lists
	claims  list.List                // of *memoryEntry, the oldest first
	handled list.List                // of *memoryEntry, the oldest first
}

type memoryEntry struct {
	key     string
	owner   string    // empty: handled
	expires time.Time // of the claim or of the memory
}

// Begin claims key.
func (d *memoryDeduplicator) Begin(_ context.Context, key, owner string, ttl time.Duration) (State, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	d.removeExpired(&d.handled, now)
	d.removeExpired(&d.claims, now.Add(-claimGrace))
	if e := d.entries[key]; e != nil {
		switch entry := e.Value.(*memoryEntry); {
		case !entry.expires.After(now):
			d.remove(e)
		case entry.owner == "":
			return StateHandled, nil
		default:
			return StateInProgress, nil
		}
	}
	if len(d.entries) >= d.maxEntries && !d.removeExpired(&d.claims, now) {
		oldest := d.handled.Front()
		if oldest == nil {
			return 0, fmt.Errorf("apivideo: the deduplicator is full: %d notifications are in progress", d.maxEntries)
		}
		d.remove(oldest)
	}
	d.entries[key] = d.claims.PushBack(&memoryEntry{key: key, owner: owner, expires: now.Add(ttl)})
	return StateNew, nil
}

// Done always returns nil.
func (d *memoryDeduplicator) Done(_ context.Context, key, owner string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.claim(key, owner); e != nil {
		d.remove(e)
		d.entries[key] = d.handled.PushBack(&memoryEntry{key: key, expires: time.Now().Add(d.maxAge)})
	}
	return nil
}

// Forget always returns nil.
func (d *memoryDeduplicator) Forget(_ context.Context, key, owner string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.claim(key, owner); e != nil {
		d.remove(e)
	}
	return nil
}

// claim returns the claim of owner, or nil.
func (d *memoryDeduplicator) claim(key, owner string) *list.Element {
	if e := d.entries[key]; e != nil && owner != "" && e.Value.(*memoryEntry).owner == owner {
		return e
	}
	return nil
}

// removeExpired removes up to two entries at the front of l, and reports whether there
// were any. Each Begin adds one, so two are enough to remove all in time.
func (d *memoryDeduplicator) removeExpired(l *list.List, now time.Time) bool {
	before := l.Len()
	for range 2 {
		if e := l.Front(); e != nil && !e.Value.(*memoryEntry).expires.After(now) {
			d.remove(e)
		}
	}
	return l.Len() < before
}

func (d *memoryDeduplicator) remove(e *list.Element) {
	entry := e.Value.(*memoryEntry)
	if entry.owner == "" {
		d.handled.Remove(e)
	} else {
		d.claims.Remove(e)
	}
	delete(d.entries, entry.key)
}
