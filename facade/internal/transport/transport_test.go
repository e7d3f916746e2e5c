package transport //nolint:testpackage // contextError is not exported

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestContextError(t *testing.T) {
	t.Parallel()
	cause, lost := errors.New("shutting down"), errors.New("lost")
	ctx, cancel := context.WithCancelCause(t.Context())
	require.NoError(t, contextError(ctx, nil))
	require.Equal(t, lost, contextError(ctx, lost))
	cancel(cause)
	for _, err := range []error{nil, lost, cause, context.Canceled} {
		got := contextError(ctx, err)
		require.ErrorIs(t, got, cause)
		require.ErrorIs(t, got, context.Canceled)
		if err != nil {
			require.ErrorIs(t, got, err)
		}
	}
	assert.EqualError(t, contextError(ctx, nil), "context canceled: shutting down")
}
