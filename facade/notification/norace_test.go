//go:build !race

package notification_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

const raced = false

// A secret's HMAC is made once and used again and again. The test runs alone,
// since it counts what everybody allocates, and without the race detector, which
// allocates and has a pool lose things: make cover runs it.
//
//nolint:paralleltest // see above
func TestAuthenticateAllocatesNothing(t *testing.T) {
	v, ctx, header, body := newVerifier(t), t.Context(), signed(webhookID, vectorBody, secret), []byte(vectorBody)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		if _, err := v.Authenticate(ctx, header, body); err != nil {
			t.Error(err)
		}
	}))
}
