package facadetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/apivideo-community/webhooks-go/facade/notification"
)

const (
	// checkTTL is the lifetime of claims that are checked for their expiry.
	checkTTL = 2 * time.Second
	// checkLongTTL is the lifetime of claims that must not expire in a check.
	checkLongTTL = 10 * time.Minute
	// checkMaxTTL is the longest lifetime for a slow store instead of checkTTL.
	checkMaxTTL = 32 * time.Second
	// checkCallers has the first letter of each concurrent owner.
	checkCallers = "abcdefghijklmnop"
)

// CheckDeduplicator checks an implementation of [notification.Deduplicator] against
// the documentation of the interface. It returns nil, or an error with a line for
// each defect. It takes about four seconds, because claims have to expire, and longer
// for a slow store. A panic of the store is a defect.
//
// The function open is called once for each check. It may return the same
// Deduplicator each time. The store needs room for 100 keys and may contain others,
// because the keys are random.
func CheckDeduplicator(ctx context.Context, open func() (notification.Deduplicator, error)) error {
	checks := []struct {
		name  string
		check func(*dedupCheck)
	}{
		{"claim", checkClaim},
		{"Done", checkDone},
		{"Forget", checkForget},
		{"other owner", checkOtherOwner},
		{"unknown key", checkUnknownKey},
		{"similar keys", checkSimilarKeys},
		{"concurrent callers", checkConcurrentCallers},
		{"canceled context", checkCanceledContext},
		{"expired claim", checkExpiry},
		{"expired claim without successor", checkLateForget},
		{"late Done without successor", checkLateDone},
		{"handled before the expiry", checkHandledOutlivesClaim},
	}
	failures := make([]error, len(checks))
	var group sync.WaitGroup // all checks wait for the expiry of claims together
	for i, c := range checks {
		d, err := open()
		if err == nil && d == nil {
			err = errors.New("the result is nil")
		}
		if err != nil {
			failures[i] = fmt.Errorf("%s: open: %w", c.name, err)
			continue
		}
		group.Go(func() {
			check := &dedupCheck{Deduplicator: panicFree{d}, ctx: ctx, name: c.name, owner: rand.Text()[1:]}
			c.check(check)
			failures[i] = errors.Join(check.failures...)
		})
	}
	group.Wait()
	return errors.Join(failures...)
}

func checkClaim(c *dedupCheck) {
	key := newKey()
	c.begin("a new key", key, "a", checkLongTTL, notification.StateNew)
	c.begin("a claimed key", key, "b", checkLongTTL, notification.StateInProgress)
	c.begin("a claimed key after StateInProgress", key, "c", checkLongTTL, notification.StateInProgress)
}

func checkDone(c *dedupCheck) {
	key := newKey()
	c.begin("a new key", key, "a", checkLongTTL, notification.StateNew)
	c.done(key, "a")
	c.begin("a handled key", key, "b", checkLongTTL, notification.StateHandled)
	c.done(key, "a")
	c.forget(key, "a")
	c.forget(key, "b")
	c.begin("a handled key after Forget", key, "c", checkLongTTL, notification.StateHandled)
}

func checkForget(c *dedupCheck) {
	key := newKey()
	c.begin("a new key", key, "a", checkLongTTL, notification.StateNew)
	c.forget(key, "a")
	c.begin("a key after Forget", key, "b", checkLongTTL, notification.StateNew)
	c.forget(key, "a")
	c.done(key, "a")
	c.begin("a key that another owner claimed after Forget", key, "c", checkLongTTL, notification.StateInProgress)
	c.done(key, "b")
	c.begin("a handled key", key, "d", checkLongTTL, notification.StateHandled)
}

func checkOtherOwner(c *dedupCheck) {
	key := newKey()
	c.begin("a new key", key, "a", checkLongTTL, notification.StateNew)
	c.done(key, "b")
	c.begin("a claimed key after Done of another owner", key, "c", checkLongTTL, notification.StateInProgress)
	c.forget(key, "b")
	c.begin("a claimed key after Forget of another owner", key, "d", checkLongTTL, notification.StateInProgress)
	c.done(key, "a")
	c.begin("a key after Done of its owner", key, "e", checkLongTTL, notification.StateHandled)
}

func checkUnknownKey(c *dedupCheck) {
	key := newKey()
	c.done(key, "a")
	c.forget(key, "a")
	c.begin("a key after Done and Forget without a claim", key, "b", checkLongTTL, notification.StateNew)
}

// checkSimilarKeys detects a store that truncates keys.
func checkSimilarKeys(c *dedupCheck) {
	key := newKey()[:62]
	c.begin("a new key", key+"00", "a", checkLongTTL, notification.StateNew)
	c.begin("a key with another last digit", key+"01", "a", checkLongTTL, notification.StateNew)
	c.done(key+"00", "a")
	c.begin("a key after Done of another key", key+"01", "b", checkLongTTL, notification.StateInProgress)
}

func checkConcurrentCallers(c *dedupCheck) {
	for range 4 {
		key := newKey()
		states := make([]notification.State, len(checkCallers))
		errs := make([]error, len(checkCallers))
		var group sync.WaitGroup
		for i := range checkCallers {
			group.Go(func() { states[i], errs[i] = c.Begin(c.ctx, key, checkCallers[i:i+1]+c.owner, checkLongTTL) })
		}
		group.Wait()
		claims := 0
		for i, state := range states {
			switch {
			case errs[i] != nil:
				c.failf("concurrent Begin: %w", errs[i])
			case state == notification.StateNew:
				claims++
			case state != notification.StateInProgress:
				c.failf("concurrent Begin returned %s", stateName(state))
			}
		}
		if claims != 1 {
			c.failf("concurrent Begin of one key returned StateNew to %d of %d callers, want 1", claims, len(checkCallers))
		}
	}
}

func checkCanceledContext(c *dedupCheck) {
	ctx, cancel := context.WithCancel(c.ctx)
	cancel()
	key := newKey()
	if _, err := c.Begin(ctx, key, "a"+c.owner, checkLongTTL); err != nil {
		c.begin("a key after an error of Begin", key, "b", checkLongTTL, notification.StateNew)
	}
}

func checkExpiry(c *dedupCheck) {
	key := newKey()
	for ttl := checkTTL; c.claimEnds(key, ttl); ttl *= 2 {
		if ttl == checkMaxTTL {
			c.failf("the store is too slow: a call took more than %v", checkMaxTTL/8)
			return
		}
	}
	c.forget(key, "a")
	c.begin("a key after a late Forget of an expired owner", key, "c", checkLongTTL, notification.StateInProgress)
	c.done(key, "a")
	c.begin("a key after a late Done of an expired owner", key, "d", checkLongTTL, notification.StateInProgress)
	c.done(key, "b")
	c.begin("a key after Done of its second owner", key, "e", checkLongTTL, notification.StateHandled)
}

// claimEnds checks a claim of owner a before and after its ttl. Owner b has the claim
// afterwards. It reports whether the store was too slow for the first check. The key is
// free then.
func (c *dedupCheck) claimEnds(key string, ttl time.Duration) (tooSlow bool) {
	start := time.Now()
	c.begin("a new key", key, "a", ttl, notification.StateNew)
	wait(c.ctx, ttl*3/4)
	state, err := c.Begin(c.ctx, key, "z"+c.owner, checkLongTTL)
	if err == nil && state == notification.StateNew && time.Since(start) >= ttl {
		c.forget(key, "z")
		return true
	}
	c.want("a claimed key before its ttl", state, err, notification.StateInProgress)
	wait(c.ctx, ttl)
	c.begin("a claimed key after its ttl", key, "b", checkLongTTL, notification.StateNew)
	return false
}

func checkLateForget(c *dedupCheck) {
	key := newKey()
	c.begin("a new key", key, "a", checkTTL, notification.StateNew)
	wait(c.ctx, checkTTL*3/2)
	c.forget(key, "a")
	c.begin("an expired key after Forget", key, "b", checkLongTTL, notification.StateNew)
}

// checkLateDone finds a store that removes an expired claim too early.
func checkLateDone(c *dedupCheck) {
	key := newKey()
	c.begin("a new key", key, "a", checkTTL, notification.StateNew)
	wait(c.ctx, checkTTL*3/2)
	c.begin("another key", newKey(), "a", checkLongTTL, notification.StateNew)
	c.done(key, "a")
	c.begin("a key after a late Done", key, "b", checkLongTTL, notification.StateHandled)
}

func checkHandledOutlivesClaim(c *dedupCheck) {
	key := newKey()
	c.begin("a new key", key, "a", checkTTL, notification.StateNew)
	c.done(key, "a")
	wait(c.ctx, checkTTL*3/2)
	c.begin("a handled key after the ttl of its claim", key, "b", checkLongTTL, notification.StateHandled)
}

// dedupCheck is one check of a Deduplicator.
type dedupCheck struct {
	notification.Deduplicator
	ctx      context.Context //nolint:containedctx // a check is one call
	name     string
	owner    string // the suffix of each owner
	failures []error
}

func (c *dedupCheck) failf(format string, args ...any) {
	c.failures = append(c.failures, fmt.Errorf(c.name+": "+format, args...))
}

func (c *dedupCheck) begin(description, key, owner string, ttl time.Duration, want notification.State) {
	state, err := c.Begin(c.ctx, key, owner+c.owner, ttl)
	c.want(description, state, err, want)
}

func (c *dedupCheck) want(description string, state notification.State, err error, want notification.State) {
	switch {
	case err != nil:
		c.failf("Begin of %s: %w", description, err)
	case state != want:
		c.failf("Begin of %s returned %s, want %s", description, stateName(state), stateName(want))
	}
}

func (c *dedupCheck) done(key, owner string) {
	if err := c.Done(c.ctx, key, owner+c.owner); err != nil {
		c.failf("Done: %w", err)
	}
}

func (c *dedupCheck) forget(key, owner string) {
	if err := c.Forget(c.ctx, key, owner+c.owner); err != nil {
		c.failf("Forget: %w", err)
	}
}

// panicFree returns a panic of a Deduplicator as an error.
type panicFree struct{ d notification.Deduplicator }

func (p panicFree) Begin(ctx context.Context, key, owner string, ttl time.Duration) (state notification.State, err error) {
	defer recoverError(&err)
	return p.d.Begin(ctx, key, owner, ttl)
}

func (p panicFree) Done(ctx context.Context, key, owner string) (err error) {
	defer recoverError(&err)
	return p.d.Done(ctx, key, owner)
}

func (p panicFree) Forget(ctx context.Context, key, owner string) (err error) {
	defer recoverError(&err)
	return p.d.Forget(ctx, key, owner)
}

func recoverError(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v", p)
	}
}

// newKey returns a random key in the format of a handler.
func newKey() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func stateName(s notification.State) string {
	switch s {
	case notification.StateNew:
		return "StateNew"
	case notification.StateInProgress:
		return "StateInProgress"
	case notification.StateHandled:
		return "StateHandled"
	}
	return fmt.Sprintf("State(%d)", int(s))
}
