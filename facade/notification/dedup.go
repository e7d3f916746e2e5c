package notification

import (
	"context"
	"time"
)

// Deduplicator remembers the notifications that were handled. A handler with
// [WithDeduplicator] calls Begin first. After StateNew it calls Done or Forget.
// Implementations must be safe for concurrent use. Processes that serve the same
// URL need a common store. Package facadetest has a conformance suite.
//
// A key is the ID of a notification, 64 hexadecimal digits. An owner is a random
// text of 26 letters and digits that is different for each call of Begin.
//
// The context of each call is independent of the request and expires after five
// seconds.
type Deduplicator interface {
	// Begin claims key for owner and returns StateNew, if key has no claim and was
	// not handled. Only one of several concurrent callers may get StateNew.
	//
	// The claim expires after ttl, because a process can die between Begin and
	// Done. Until then Begin returns StateInProgress. Afterwards the next Begin
	// returns StateNew. The redelivery to another process then succeeds, because
	// the ttl is shorter than the service retries.
	//
	// After an error the service retries, and key should have no claim.
	Begin(ctx context.Context, key, owner string, ttl time.Duration) (State, error)
	// Done records that key was handled. From then on Begin returns StateHandled,
	// for a time that the implementation chooses. An expired claim counts until
	// another owner has claimed key, because a slow function may return late. A store
	// should therefore keep expired claims for a minute. Done changes nothing and
	// returns nil if owner has no claim.
	Done(ctx context.Context, key, owner string) error
	// Forget removes the claim of owner after a failure, so that the next Begin
	// returns StateNew. It changes nothing and returns nil if owner has no claim.
	Forget(ctx context.Context, key, owner string) error
}

// State is the state of a notification in a Deduplicator. The zero value is
// invalid.
type State int

// The states of a notification.
const (
	// StateNew means that the caller has claimed the notification.
	StateNew State = iota + 1
	// StateInProgress means that another owner has claimed the notification.
	StateInProgress
	// StateHandled means that the notification was handled.
	StateHandled
)
