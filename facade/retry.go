package facade

import (
	"cmp"
	"errors"
	"time"
)

// RetryPolicy sets the number of attempts and the delays between them. The package
// comment lists the failures that are retried.
type RetryPolicy struct {
	// MaxAttempts is the maximum number of attempts, including the first. 1 turns
	// retries off. An attempt with a new token after a 401 does not count.
	MaxAttempts int
	// MinDelay is the maximum backoff after the first attempt. It doubles with
	// each attempt. The backoff is a random part of it.
	MinDelay time.Duration
	// MaxDelay is the maximum delay. A request is not retried if the service asks
	// for a longer delay, which Error.RetryAfter reports. Up to a tenth and 100 ms
	// are added to the delay that the service asks for.
	MaxDelay time.Duration
}

var defaultRetry = RetryPolicy{MaxAttempts: 4, MinDelay: 500 * time.Millisecond, MaxDelay: time.Minute}

// withDefaults replaces the zero fields of p.
func (p RetryPolicy) withDefaults() (RetryPolicy, error) {
	p.MaxAttempts = cmp.Or(p.MaxAttempts, defaultRetry.MaxAttempts)
	p.MaxDelay = cmp.Or(p.MaxDelay, defaultRetry.MaxDelay)
	p.MinDelay = cmp.Or(p.MinDelay, min(defaultRetry.MinDelay, p.MaxDelay))
	if p.MaxAttempts < 0 || p.MinDelay < 0 || p.MaxDelay < p.MinDelay {
		return p, errors.New("the retry policy has a negative value or a MinDelay above its MaxDelay")
	}
	return p, nil
}
