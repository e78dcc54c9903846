package runtimeapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/heaptest"
)

// TestAbandonedInvocationsHoldLittle abandons invocations whose texts are parts of larger ones, as those of requests are.
func TestAbandonedInvocationsHoldLittle(t *testing.T) {
	const left = 64
	e := New(Config{Name: "f", Log: slog.New(slog.DiscardHandler)})
	defer e.Close()
	gone := errors.New("the caller has left")
	before := heaptest.InUse()
	for i := range left {
		ctx, leave := context.WithCancelCause(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := e.Invoke(ctx, Input{RequestID: heaptest.Part(fmt.Sprint(i)), TraceID: heaptest.Part("trace"), Timeout: time.Hour, Wait: time.Hour})
			ended <- err
		}()
		p, _ := e.take(t.Context(), &conn{})
		require.Equal(t, fmt.Sprint(i), p.id)
		leave(gone)
		require.ErrorIs(t, <-ended, gone)
	}
	require.Less(t, heaptest.InUse(), before+left*heaptest.Large/4)
	require.Len(t, e.abandoned, left)
}
