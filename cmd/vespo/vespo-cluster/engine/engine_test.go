package engine

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kv"
)

// TestUncertain has one sentence, whether the context has ended or not.
func TestUncertain(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, ctx := range []context.Context{t.Context(), ended} {
		err := Uncertain(ctx, "notes")
		require.EqualError(t, err, `the engine did not answer the write of the store "notes": it may have been made: `+kv.ErrUncertain.Error())
		require.ErrorIs(t, err, kv.ErrUncertain)
		require.Equal(t, ctx.Err() != nil, errors.Is(err, context.Canceled))
	}
}
