package etcdstore

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
)

// fullDisk is the store of a copy whose disk is full for some commits.
type fullDisk struct {
	registry.Store
	takes time.Duration // for each commit
	fails int
	saved atomic.Pointer[registry.State]
}

func (d *fullDisk) Commit(_ context.Context, _, next *registry.State) error {
	time.Sleep(d.takes)
	if d.fails > 0 {
		d.fails--
		return syscall.ENOSPC
	}
	d.saved.Store(next)
	return nil
}

// TestLatestCopyIsWrittenAtTheEnd closes a store while it writes a copy, and another state was kept meanwhile.
func TestLatestCopyIsWrittenAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running, end := context.WithCancel(t.Context())
		s := &Store{running: running, log: slog.New(slog.DiscardHandler)}
		disk := &fullDisk{takes: time.Second}
		var keeping sync.WaitGroup
		keeping.Go(func() { s.keepCopy(&copied{store: disk, saved: &registry.State{}}) })
		for i := range 3 {
			s.current, s.commit = &registry.State{Generation: registry.Generation(i + 1)}, fmt.Sprint("commit ", i)
			s.rememberLocked()
			s.Keep(s.current)
			synctest.Wait()
		}
		end()
		keeping.Wait()
		require.Equal(t, registry.Generation(3), disk.saved.Load().Generation)
	})
}

// TestCopyIsWrittenAfterAFullDisk keeps a state while the disk is full, which no other state follows.
func TestCopyIsWrittenAfterAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running, end := context.WithCancel(t.Context())
		var log bytes.Buffer
		s := &Store{running: running, log: slog.New(slog.NewTextHandler(&log, nil))}
		s.current, s.commit = &registry.State{Generation: 7}, "commit"
		s.rememberLocked()
		disk := &fullDisk{fails: 3}
		var keeping sync.WaitGroup
		keeping.Go(func() { s.keepCopy(&copied{store: disk, saved: &registry.State{}}) })
		s.Keep(s.current)
		synctest.Wait()
		require.Nil(t, disk.saved.Load())
		time.Sleep(3*copyRetry + time.Second)
		synctest.Wait()
		require.NotNil(t, disk.saved.Load(), "it is not tried again")
		require.Equal(t, 1, strings.Count(log.String(), "level=ERROR"), "%s", &log)
		require.Contains(t, log.String(), "is written again")
		end()
		keeping.Wait()
	})
}

// TestEarlierStatesAreReleased checks that the store knows the marks of earlier states, and not the states.
func TestEarlierStatesAreReleased(t *testing.T) {
	s := &Store{}
	var released atomic.Int32
	for i := range maxKeepable {
		state := &registry.State{Generation: registry.Generation(i + 1)}
		runtime.AddCleanup(state, func(n *atomic.Int32) { n.Add(1) }, &released)
		s.current, s.commit = state, fmt.Sprint("commit ", i)
		s.rememberLocked()
		require.Equal(t, s.commit, s.markOf(state).Commit)
		require.Equal(t, state.Generation, s.markOf(state).Generation)
	}
	require.Eventually(t, func() bool {
		runtime.GC()
		return released.Load() == maxKeepable-1
	}, 10*time.Second, time.Millisecond)
	require.Len(t, s.keepables, maxKeepable)
	require.NotEmpty(t, s.markOf(s.current).Commit)
	require.Empty(t, s.markOf(&registry.State{}).Commit)
}
