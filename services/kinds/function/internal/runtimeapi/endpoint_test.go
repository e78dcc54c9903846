package runtimeapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAbandonedInvocationsHoldLittle abandons invocations whose texts are parts of larger ones, as those of requests are.
func TestAbandonedInvocationsHoldLittle(t *testing.T) {
	const left, large = 64, 1 << 20
	part := func(text string) string { return (strings.Repeat(" ", large-len(text)) + text)[large-len(text):] }
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	e := New(Config{Name: "f", Log: slog.New(slog.DiscardHandler)})
	defer e.Close()
	gone := errors.New("the caller has left")
	before := heap()
	for i := range left {
		ctx, leave := context.WithCancelCause(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := e.Invoke(ctx, Input{RequestID: part(fmt.Sprint(i)), TraceID: part("trace"), Timeout: time.Hour, Wait: time.Hour})
			ended <- err
		}()
		p, _ := e.take(t.Context(), &conn{})
		require.Equal(t, fmt.Sprint(i), p.id)
		leave(gone)
		require.ErrorIs(t, <-ended, gone)
	}
	require.Less(t, heap(), before+left*large/4)
	require.Len(t, e.abandoned, left)
}
