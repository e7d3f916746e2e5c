package notification

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"
)

// Deduplicator remembers which notifications were handled, for a handler with
// [WithDeduplicator], which calls Begin, and after StateNew either Done or Forget.
// It must be safe for concurrent use. Several processes that serve the same url
// need one in a store they share.
//
// A key is 64 hex digits made of the webhook's id and the body, so that it says
// nothing about either.
type Deduplicator interface {
	// Begin claims key and returns StateNew if nobody has, which only one of
	// several callers may be told. Otherwise it returns what became of it. The
	// context doesn't end with the request; it takes 5 seconds at most.
	//
	// With an error the service is to try again, so nothing should be claimed. A
	// store that can't tell, because its answer got lost, may leave a claim behind,
	// and so may a process that dies while the function runs. A claim in a shared
	// store must therefore end by itself, soon after the function can't be running
	// any longer: the service gives up after about ten seconds.
	Begin(ctx context.Context, key string) (State, error)
	// Done tells that the claimed notification was handled. If it fails, the
	// sender is told 202 all the same, since the function has done its work. The
	// context is one as for Begin.
	Done(ctx context.Context, key string) error
	// Forget gives a claim back, because the function failed or panicked, so that
	// the service's next try is new. The context is one as for Begin.
	Forget(ctx context.Context, key string) error
}

// State is what a Deduplicator knows of a notification. Its zero value is none.
type State int

// The states of a notification.
const (
	// StateNew means that it wasn't known and is now claimed by the caller.
	StateNew State = iota + 1
	// StateInProgress means that it is being handled by somebody else.
	StateInProgress
	// StateHandled means that it was handled.
	StateHandled
)

// NewMemoryDeduplicator returns a deduplicator for a single process. It remembers
// what was handled for maxAge, and no more than maxEntries notifications, each of
// which takes about 200 bytes: of more, those handled first are forgotten early.
// One that is being handled is never forgotten; if there are maxEntries of them,
// Begin fails. It starts no goroutine, there is nothing to close, and no call takes
// longer because there are many entries.
//
// The service repeats itself for about ten seconds, so a few minutes are plenty.
// With [WithMaxAge] in place, twice its duration leaves no gap to repeat a
// recorded notification in. It panics if one of the bounds isn't positive.
func NewMemoryDeduplicator(maxAge time.Duration, maxEntries int) Deduplicator {
	if maxAge <= 0 || maxEntries <= 0 {
		panic("apivideo: NewMemoryDeduplicator: both bounds must be positive")
	}
	return &memoryDeduplicator{maxAge: maxAge, maxEntries: maxEntries, entries: make(map[string]*list.Element)}
}

type memoryDeduplicator struct {
	maxAge     time.Duration
	maxEntries int

	mu      sync.Mutex
	entries map[string]*list.Element // nil as long as it is being handled
	handled list.List                // of handledEntry, the oldest first
}

type handledEntry struct {
	key string
	at  time.Time
}

// Begin claims key.
func (d *memoryDeduplicator) Begin(_ context.Context, key string) (State, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	// Two go for each that comes, so that all that are too old go in time.
	for range 2 {
		if e := d.handled.Front(); e != nil && d.isOld(e) {
			d.remove(e)
		}
	}
	if e, ok := d.entries[key]; ok {
		switch {
		case e == nil:
			return StateInProgress, nil
		case !d.isOld(e):
			return StateHandled, nil
		}
		d.remove(e)
	}
	if len(d.entries) >= d.maxEntries {
		oldest := d.handled.Front()
		if oldest == nil {
			return 0, fmt.Errorf("apivideo: %d notifications are being handled, which is as many as may be", d.maxEntries)
		}
		d.remove(oldest)
	}
	d.entries[key] = nil
	return StateNew, nil
}

// Done never fails.
func (d *memoryDeduplicator) Done(_ context.Context, key string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e, ok := d.entries[key]; ok && e == nil {
		d.entries[key] = d.handled.PushBack(handledEntry{key: key, at: time.Now()})
	}
	return nil
}

// Forget never fails.
func (d *memoryDeduplicator) Forget(_ context.Context, key string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e, ok := d.entries[key]; ok && e == nil {
		delete(d.entries, key)
	}
	return nil
}

func (d *memoryDeduplicator) isOld(e *list.Element) bool {
	return time.Since(e.Value.(handledEntry).at) >= d.maxAge
}

func (d *memoryDeduplicator) remove(e *list.Element) {
	d.handled.Remove(e)
	delete(d.entries, e.Value.(handledEntry).key)
}
