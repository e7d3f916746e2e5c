package notification

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
)

const (
	listTimeout   = 10 * time.Second
	refreshAge    = 10 * time.Minute // of the list when a known ID refreshes it
	listInterval  = 5 * time.Second  // from the end of a listing to the next one
	retryInterval = time.Second      // the same after the first failure
	maxKnown      = 10_000
)

// CachedSecrets is a SecretSource that lists the webhooks of an account and caches
// their secrets. [ClientSecrets] returns it.
type CachedSecrets struct {
	client *facade.Client
	known  atomic.Pointer[webhookList] // read without mu, so a listing blocks no known ID

	mu     sync.Mutex
	latest *listing // in flight or finished, nil before the first
}

// webhookList is the result of a successful listing.
type webhookList struct {
	secrets  map[string][]facade.Secret // by webhook ID
	listedAt time.Time
}

// listing is in flight until done is closed.
type listing struct {
	done     chan struct{}
	endedAt  time.Time
	err      error
	failures int // in a row, with the previous listings
}

// ClientSecrets returns a SecretSource with the own secret of each webhook of the
// client's account. It panics if c is nil.
//
// It lists the webhooks for the first notification, and caches the secrets of at
// most 10,000. The section "Secrets from the API" of the package comment has the
// rules for later listings. Call [CachedSecrets.Refresh] when the program starts
// and after it has created or deleted a webhook.
func ClientSecrets(c *facade.Client) *CachedSecrets {
	if c == nil {
		panic("apivideo: ClientSecrets: the client is nil")
	}
	s := &CachedSecrets{client: c}
	s.known.Store(new(webhookList))
	return s
}

// Secrets returns the secret of a webhook. A known ID returns at once. It starts a
// listing in the background if the list is older than 10 minutes. An unknown ID
// waits for a listing, at most until ctx is done. The listing goes on after that.
func (s *CachedSecrets) Secrets(ctx context.Context, webhookID string) ([]facade.Secret, error) {
	list := s.known.Load()
	if secrets := list.secrets[webhookID]; secrets != nil {
		if time.Since(list.listedAt) >= refreshAge {
			s.recentListing(ctx)
		}
		return secrets, nil
	}
	if webhookID == "" {
		return nil, nil
	}
	l := s.recentListing(ctx)
	if err := l.wait(ctx); err != nil {
		return nil, err
	}
	if secrets := s.known.Load().secrets[webhookID]; secrets != nil {
		return secrets, nil
	}
	return nil, l.err
}

// Refresh lists the webhooks now and returns the error of the listing. A listing in
// flight began before the call, so Refresh waits for its end and then lists again.
// After an error the known secrets stay valid.
func (s *CachedSecrets) Refresh(ctx context.Context) error {
	s.mu.Lock()
	before := s.latest // may miss a new webhook
	s.mu.Unlock()
	if before != nil {
		if err := before.wait(ctx); err != nil {
			return err
		}
	}
	s.mu.Lock()
	l := s.joinListing(ctx) // a new listing, or a newer one of another caller
	s.mu.Unlock()
	if err := l.wait(ctx); err != nil {
		return err
	}
	return l.err
}

// recentListing returns the latest listing, or a new one after the interval.
func (s *CachedSecrets) recentListing(ctx context.Context) *listing {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.latest; l != nil && l.finished() && time.Since(l.endedAt) < l.interval() {
		return l
	}
	return s.joinListing(ctx)
}

// joinListing returns the listing in flight, or a new one. The caller holds mu.
func (s *CachedSecrets) joinListing(ctx context.Context) *listing {
	before := s.latest
	if before != nil && !before.finished() {
		return before
	}
	s.latest = &listing{done: make(chan struct{})}
	if before != nil {
		s.latest.failures = before.failures
	}
	go s.list(context.WithoutCancel(ctx), s.latest)
	return s.latest
}

// list lists the webhooks and finishes l, also if the client's transport panics or
// calls runtime.Goexit.
func (s *CachedSecrets) list(ctx context.Context, l *listing) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	l.err = errors.New("the listing ended its goroutine")
	defer func() {
		if p := recover(); p != nil {
			l.err = fmt.Errorf("the listing panicked with a %T", p) // the value may show a secret
		}
		l.failures++
		if l.err == nil {
			l.failures = 0
		}
		l.endedAt = time.Now()
		close(l.done)
	}()
	secrets, err := s.fetch(ctx)
	if err == nil {
		s.known.Store(&webhookList{secrets: secrets, listedAt: time.Now()})
	}
	l.err = err
}

// fetch returns the secrets of all webhooks. A webhook without a secret in the
// response keeps the known one.
func (s *CachedSecrets) fetch(ctx context.Context) (map[string][]facade.Secret, error) {
	known, secrets := s.known.Load().secrets, make(map[string][]facade.Secret)
	for wh, err := range s.client.Webhooks(ctx, facade.ListOptions{}) {
		if err != nil {
			return nil, err
		}
		if !wh.SignatureSecret.IsZero() {
			secrets[wh.ID] = []facade.Secret{wh.SignatureSecret}
		} else if before := known[wh.ID]; before != nil {
			secrets[wh.ID] = before
		}
		if len(secrets) == maxKnown {
			break
		}
	}
	return secrets, nil
}

// wait returns an error if ctx is done before the listing.
func (l *listing) wait(ctx context.Context) error {
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// interval returns the time from the end of l to the next listing.
func (l *listing) interval() time.Duration {
	interval := listInterval
	if l.failures == 1 {
		interval = retryInterval
	}
	var refused *facade.Error
	if errors.As(l.err, &refused) {
		interval = max(interval, refused.RetryAfter)
	}
	return interval
}

func (l *listing) finished() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}
