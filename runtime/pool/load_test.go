package pool

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/engine"
)

func TestFailedLoadsAreTriedAgain(t *testing.T) {
	f := newFixture(t, 2)
	var broken atomic.Bool
	failure := errors.New("the disk is gone")
	p, err := f.set.Open(context.Background(), func(ctx context.Context) (*engine.Module, error) {
		if broken.Load() {
			return nil, failure
		}
		return f.load(false)(ctx)
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close(context.Background())) }()
	require.NoError(t, p.Shrink(context.Background(), true))
	broken.Store(true)
	_, _, _, err = p.Acquire(context.Background(), soon())
	require.ErrorIs(t, err, failure)
	broken.Store(false)
	in, start := acquire(t, p)
	require.Equal(t, Cold, start)
	p.Release(in, true)
}

// Requests that wait for a load do not repeat it one after the other if it fails.
func TestAFailedLoadIsOneForAllWhoWait(t *testing.T) {
	f := newFixture(t, 4)
	release := make(chan struct{})
	var broken atomic.Bool
	var loads atomic.Int32
	failure := errors.New("the disk is gone")
	p, err := f.set.Open(context.Background(), func(ctx context.Context) (*engine.Module, error) {
		if broken.Load() {
			loads.Add(1)
			<-release
			return nil, failure
		}
		return f.load(false)(ctx)
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close(context.Background())) }()
	require.NoError(t, p.Shrink(context.Background(), true))
	broken.Store(true)
	const waiters = 16
	failed := make(chan error, waiters)
	for range waiters {
		go func() {
			_, _, _, err := p.Acquire(context.Background(), soon())
			failed <- err
		}()
	}
	require.Eventually(t, func() bool { return p.Stats().InUse == waiters }, 10*time.Second, time.Millisecond)
	late := time.Now().Add(10 * time.Millisecond)
	_, _, _, err = p.Acquire(context.Background(), late)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	close(release)
	for range waiters {
		require.ErrorIs(t, <-failed, failure)
	}
	require.Less(t, loads.Load(), int32(waiters/2), "a few can have come after its end")
	broken.Store(false)
	use(t, p)
}

func TestWaitersForALoadLeaveWhenTheirTimeIsOver(t *testing.T) {
	f := newFixture(t, 2)
	release := make(chan struct{})
	var slow atomic.Bool
	p, err := f.set.Open(context.Background(), func(ctx context.Context) (*engine.Module, error) {
		if slow.Load() {
			<-release
		}
		return f.load(false)(ctx)
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close(context.Background())) }()
	require.NoError(t, p.Shrink(context.Background(), true))
	slow.Store(true)
	leader := make(chan *engine.Instance)
	go func() {
		in, _, _, _ := p.Acquire(context.Background(), soon())
		leader <- in
	}()
	require.Eventually(t, func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.loading != nil }, 10*time.Second, time.Millisecond)
	_, _, _, err = p.Acquire(context.Background(), time.Now().Add(10*time.Millisecond))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, _, _, err = p.Acquire(ctx, soon())
	require.ErrorIs(t, err, context.Canceled)
	close(release)
	p.Release(<-leader, true)
	require.Zero(t, p.Stats().InUse)
}

// The request that loads times out at its deadline, too. The load continues, and others wait for it.
func TestALoadOutlivesItsRequest(t *testing.T) {
	f := newFixture(t, 2)
	started, release := make(chan struct{}), make(chan struct{})
	var slow atomic.Bool
	p, err := f.set.Open(context.Background(), func(ctx context.Context) (*engine.Module, error) {
		if slow.Swap(false) {
			close(started)
			<-release
		}
		return f.load(false)(ctx)
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close(context.Background())) }()
	require.NoError(t, p.Shrink(context.Background(), true))
	slow.Store(true)
	_, _, _, err = p.Acquire(context.Background(), time.Now().Add(10*time.Millisecond))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	<-started
	require.Zero(t, p.Stats().InUse)
	require.Equal(t, f.engine.Stats().Slots, f.engine.Stats().FreeSlots, "who waits for nothing holds nothing")
	waiter := make(chan Start)
	go func() {
		in, start, _, err := p.Acquire(context.Background(), soon())
		if err == nil {
			p.Release(in, true)
		}
		waiter <- start
	}()
	close(release)
	require.Equal(t, Cold, <-waiter)
	require.EqualValues(t, 3, f.loads.Load())
}

// Close ends a load, and with it all requests that wait for it.
func TestCloseEndsALoad(t *testing.T) {
	f := newFixture(t, 2)
	started := make(chan struct{})
	var slow atomic.Bool
	p, err := f.set.Open(context.Background(), func(ctx context.Context) (*engine.Module, error) {
		if slow.Load() {
			close(started)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return f.load(false)(ctx)
	})
	require.NoError(t, err)
	require.NoError(t, p.Shrink(context.Background(), true))
	slow.Store(true)
	ended := make(chan error)
	go func() {
		_, _, _, err := p.Acquire(context.Background(), soon())
		ended <- err
	}()
	<-started
	require.NoError(t, p.Close(context.Background()))
	require.ErrorIs(t, <-ended, ErrClosed)
}
