//go:build !race

package notification_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// The test runs alone, because AllocsPerRun counts the allocations of all
// goroutines. The race detector allocates too.
//
//nolint:paralleltest // AllocsPerRun counts all goroutines
func TestVerify_allocations(t *testing.T) {
	v, ctx, header, body := newVerifier(t), t.Context(), signedHeader(webhookID, vectorBody, secret), []byte(vectorBody)
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		if _, err := v.Authenticate(ctx, header, body); err != nil {
			t.Error(err)
		}
	}))
}
