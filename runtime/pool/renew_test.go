package pool

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// interpreted returns a fixture whose modules run in the interpreter until done is called. Then they are compiled, unless the
// script fails.
func interpreted(t *testing.T, slots int, script string) (f *fixture, done func()) {
	t.Helper()
	dir := t.TempDir()
	command, end := filepath.Join(dir, "compile"), filepath.Join(dir, "done")
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip("there is no sleep")
	}
	require.NoError(t, os.WriteFile(command, []byte("#!/bin/sh\nwhile ! test -e "+end+"; do "+sleep+" 0.01; done\n"+script+"\n"), 0o700))
	f = fixtureOf(t, engine.Config{Slots: slots, Mode: engine.InterpretedFirst, CacheDir: t.TempDir(), CompileCommand: []string{command, "compile"}})
	return f, func() { require.NoError(t, os.WriteFile(end, nil, 0o600)) }
}

// compileHere makes a fixture without a cache, whose modules are compiled in this process as soon as they can be.
func compileHere(t *testing.T, slots int) *fixture {
	t.Helper()
	return fixtureOf(t, engine.Config{Slots: slots, Mode: engine.InterpretedFirst})
}

// Requests go on while compiled instances take the place of interpreted ones, and at the end all instances are compiled.
func TestRequestsDuringTheSwap(t *testing.T) {
	f := compileHere(t, 8)
	for range 10 {
		p, err := f.set.Open(context.Background(), f.load(false))
		require.NoError(t, err)
		compiled := make(chan struct{})
		go func() {
			defer close(compiled)
			<-p.module.Compiling()
		}()
		var all sync.WaitGroup
		var served atomic.Int64
		for range 4 {
			all.Go(func() {
				for after := 0; after < 20; served.Add(1) {
					in, _, out, err := p.Acquire(context.Background(), soon())
					require.NoError(t, err)
					require.True(t, out.Clean())
					value, kind := run(in, get, 0)
					require.Equal(t, engine.OK, kind)
					require.EqualValues(t, 10, value, "the state of the snapshot")
					_, kind = run(in, scramble, 3)
					require.Equal(t, engine.OK, kind)
					p.Release(in, true)
					select {
					case <-compiled:
						after++
					default:
					}
				}
			})
		}
		all.Wait()
		require.Eventually(t, func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.gatherLocked()
			for _, in := range p.warm {
				if in.Outdated() {
					return false
				}
			}
			return p.refills == 0 && len(p.warm) > 0
		}, time.Minute, time.Millisecond)
		require.Zero(t, p.Stats().Counts.Discarded, "no instance has failed")
		require.NoError(t, p.Close(context.Background()))
	}
}

// A pool is not unloaded while its code is compiled, keeps its interpreted instances if that fails, and closes at any time.
func TestPoolWithoutItsCode(t *testing.T) {
	f, done := interpreted(t, 2, "exit 99")
	p := f.pool(t, false)
	require.NoError(t, p.Shrink(context.Background(), true))
	require.True(t, p.Stats().Loaded)
	done()
	<-p.module.Compiling()
	use(t, p)
	in, start := acquire(t, p)
	require.Equal(t, Warm, start)
	require.False(t, in.Outdated())
	p.Release(in, true)

	f, _ = interpreted(t, 2, "")
	p, err := f.set.Open(context.Background(), f.load(false))
	require.NoError(t, err)
	use(t, p)
	require.NoError(t, p.Close(context.Background()))
}
