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

// evictedAndBroken returns a pool whose module is evicted, and loads of which fail while broken is set, as it is.
func evictedAndBroken(t *testing.T, slots int, fail func() error) (p *Pool, broken *atomic.Bool) {
	f := newFixture(t, slots)
	broken = new(atomic.Bool)
	p, err := f.set.Open(context.Background(), func(ctx context.Context) (*engine.Module, error) {
		if broken.Load() {
			return nil, fail()
		}
		return f.load(false)(ctx)
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close(context.Background())) })
	require.NoError(t, p.Shrink(context.Background(), true))
	broken.Store(true)
	return p, broken
}

func TestFailedLoadsAreTriedAgain(t *testing.T) {
	failure := errors.New("the disk is gone")
	p, broken := evictedAndBroken(t, 2, func() error { return failure })
	_, _, _, err := p.Acquire(context.Background(), soon())
	require.ErrorIs(t, err, failure)
	broken.Store(false)
	in, start := acquire(t, p)
	require.Equal(t, Cold, start)
	p.Release(in, true)
}

// Requests that wait for a load do not repeat it one after the other if it fails.
func TestAFailedLoadIsOneForAllWhoWait(t *testing.T) {
	release := make(chan struct{})
	var loads atomic.Int32
	failure := errors.New("the disk is gone")
	p, broken := evictedAndBroken(t, 4, func() error {
		loads.Add(1)
		<-release
		return failure
	})
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
	_, _, _, err := p.Acquire(context.Background(), late)
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
