package inflight

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
)

func TestCloseWaitsForRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New()
		require.NoError(t, r.Begin())
		require.NoError(t, r.Begin())
		closed := make(chan error, 1)
		go func() { closed <- r.Close(t.Context()) }()
		synctest.Wait()
		require.ErrorIs(t, context.Cause(r.Context()), ErrClosed)
		r.End()
		synctest.Wait()
		require.Empty(t, closed, "one request is left")
		r.End()
		require.NoError(t, <-closed)
	})
}

func TestCloseGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New()
		require.NoError(t, r.Begin())
		impatient := errors.New("waited long enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, impatient)
		defer cancel()
		require.ErrorIs(t, r.Close(ctx), impatient)
		r.End() // a request that ends after Close gave up
	})
}

func TestBeginAfterClose(t *testing.T) {
	r := New()
	require.NoError(t, r.Close(t.Context()))
	err := r.Begin()
	require.ErrorIs(t, err, ErrClosed)
	var told *problem.Problem
	require.ErrorAs(t, err, &told)
	require.Zero(t, r.Stats())
}

func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New()
		require.Zero(t, r.Stats())
		require.NoError(t, r.Begin())
		time.Sleep(time.Second)
		require.Equal(t, Stats{InFlight: 1}, r.Stats(), "none has ended")
		r.End()
		require.Equal(t, Stats{LastUsed: time.Now()}, r.Stats())
	})
}
