package notification

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
)

// SecretSource knows the secrets of webhooks. It must be safe for concurrent
// use.
type SecretSource interface {
	// Secrets returns the secrets that may have signed a notification for this
	// webhook, in any order; it is enough if one of them has. None, and no error,
	// means that the webhook isn't known, which refuses the notification. An error
	// means that it can't be told right now, and the service is to try again.
	//
	// The id is what somebody wrote into a header, of any length and content, or
	// empty. Whoever sends one can make this method run, so it must not cost much.
	Secrets(ctx context.Context, webhookID string) ([]facade.Secret, error)
}

// StaticSecrets returns a source that gives these secrets for every webhook, also
// for one without an id. Several of them let the old and the new one hold while a
// webhook is replaced. Empty ones are left out; NewVerifier refuses a source
// that then has none.
//
// The secrets hold for each other's webhooks too, so that the WebhookID of a
// notification can be made up by whoever has a notification signed with one of
// them.
func StaticSecrets(secrets ...facade.Secret) SecretSource {
	var static staticSecrets
	for _, s := range secrets {
		if !s.IsZero() {
			static = append(static, s)
		}
	}
	return static
}

type staticSecrets []facade.Secret

// Secrets never fails.
func (s staticSecrets) Secrets(context.Context, string) ([]facade.Secret, error) { return s, nil }

const (
	listTimeout  = 10 * time.Second
	listInterval = 30 * time.Second
	maxKnown     = 10_000
)

// ClientSecrets returns a source that gives each webhook of the client's account
// its own secret. The first id asked for makes it list the webhooks, and it keeps
// up to 10,000 of them. It panics if c is nil.
//
// An id that it knows is answered from memory, whatever the API does. One that it
// doesn't know makes it list again, at most 10 seconds long, once for all who
// wait, and 30 seconds after the last listing ended at the earliest, however
// many ids arrive. Until then an unknown id has no secret if that listing
// succeeded, and its error if it failed, so that the service tries again. The
// listing goes on when a caller leaves. An empty id is unknown and causes no
// listing. What was deleted stays known until the next listing, and a secret that
// changed would, which the API has no operation for. A webhook that is listed
// without its secret keeps the one that is known.
//
// This means that a stranger who sends an unknown id can put the next listing off
// by 30 seconds, while the service gives a notification up after about ten. A
// webhook created within these 30 seconds may lose its first notifications. Who
// creates webhooks while notifications arrive should put a source of their own
// before this one that knows a new secret at once, as the example shows.
func ClientSecrets(c *facade.Client) SecretSource {
	if c == nil {
		panic("apivideo: ClientSecrets: the client is nil")
	}
	s := &clientSecrets{client: c}
	s.known.Store(new(map[string][]facade.Secret))
	return s
}

type clientSecrets struct {
	client *facade.Client
	known  atomic.Pointer[map[string][]facade.Secret] // read without mu, so that a listing delays nobody

	mu      sync.Mutex
	listing *listing // the latest one, or nil
}

// listing is one that is under way until done is closed, and over then.
type listing struct {
	done  chan struct{}
	ended time.Time
	err   error
}

// Secrets returns the secret of a webhook of the account.
func (s *clientSecrets) Secrets(ctx context.Context, webhookID string) ([]facade.Secret, error) {
	if secrets := (*s.known.Load())[webhookID]; secrets != nil || webhookID == "" {
		return secrets, nil
	}
	latest := s.latest(ctx)
	select {
	case <-latest.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if secrets := (*s.known.Load())[webhookID]; secrets != nil {
		return secrets, nil
	}
	return nil, latest.err
}

// latest returns the latest listing, or a new one if that is due.
func (s *clientSecrets) latest(ctx context.Context) *listing {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.listing; l != nil {
		select {
		case <-l.done:
			if time.Since(l.ended) < listInterval {
				return l
			}
		default:
			return l
		}
	}
	l := &listing{done: make(chan struct{})}
	s.listing = l
	go s.list(context.WithoutCancel(ctx), l)
	return l
}

func (s *clientSecrets) list(ctx context.Context, l *listing) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	defer close(l.done)
	defer func() {
		if p := recover(); p != nil { // in the client's transport, which is no reason to end the program
			l.err = fmt.Errorf("the listing ended in a panic with a %T", p)
		}
		l.ended = time.Now()
	}()
	before, known := *s.known.Load(), make(map[string][]facade.Secret)
	for wh, err := range s.client.Webhooks(ctx, facade.ListOptions{}) {
		if err != nil {
			l.err = err
			return
		}
		if !wh.SignatureSecret.IsZero() {
			known[wh.ID] = []facade.Secret{wh.SignatureSecret}
		} else if secrets := before[wh.ID]; secrets != nil { // it was only left out
			known[wh.ID] = secrets
		}
		if len(known) == maxKnown {
			break
		}
	}
	s.known.Store(&known)
}
