package filestore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
)

// history records the last acknowledged state of a scenario, and the state being committed when it ended.
type history struct {
	acknowledged *registry.State
	attempted    *registry.State
}

// scenario deploys, replaces, removes and collects through a registry over fsys. If keepGoing returns true,
// it repeats the failed step and continues.
func scenario(fsys *crashFS, keepGoing func(*registry.Registry, error) bool) (history, error) {
	h := history{acknowledged: &registry.State{Services: map[registry.Prefix]registry.Service{}}}
	store, err := open(fsys, "memory")
	if err != nil {
		return h, err
	}
	reg, _, err := registry.Open(context.Background(), store)
	if err != nil {
		return h, err
	}
	for step := range 8 {
		err := h.step(reg, step)
		if err == nil {
			continue
		}
		if !keepGoing(reg, err) {
			return h, err
		}
		if err := h.step(reg, step); err != nil && !errors.Is(err, registry.ErrNotFound) { // removed already
			return h, err
		}
	}
	return h, nil
}

func (h *history) step(reg *registry.Registry, step int) error {
	ctx := context.Background()
	base := reg.State()
	var next *registry.State
	if step == 5 {
		removed, err := base.Remove("/a")
		if err != nil {
			return err
		}
		next = removed
	} else {
		blob := fmt.Appendf(nil, "module %d of the scenario", step%4)
		digest, release, err := reg.PutBlob(ctx, blob)
		if err != nil {
			return err
		}
		defer release()
		next, _ = base.Put(registry.Prefix([]string{"/a", "/b"}[step%2]), registry.Version{
			Digest: digest, SizeBytes: int64(len(blob)), Kind: "wasm", Deployed: time.Unix(int64(step), 0),
		})
	}
	h.attempted = next
	if err := reg.Commit(ctx, base, next); err != nil {
		return err
	}
	h.acknowledged, h.attempted = next, nil
	_, err := reg.CollectGarbage(ctx)
	return err
}

func giveUp(*registry.Registry, error) bool { return false }

// operations returns the number of operations in an undisturbed scenario.
func operations(t *testing.T) int {
	fsys := newCrashFS()
	_, err := scenario(fsys, giveUp)
	require.NoError(t, err)
	require.Greater(t, fsys.count, 50)
	return fsys.count
}

// aftermaths calls f with possible contents after a crash of fsys: without all uncertain changes, with all of
// them, and with mixtures.
func aftermaths(t *testing.T, fsys *crashFS, f func(t *testing.T, found *crashFS)) {
	const mixtures = 12
	for seed := range uint64(mixtures) {
		rng := rand.New(rand.NewPCG(seed, uint64(fsys.count)))
		lose := func() bool { return rng.IntN(2) == 0 }
		switch seed {
		case 0:
			lose = func() bool { return true }
		case 1:
			lose = func() bool { return false }
		}
		f(t, fsys.clone(rng, lose))
	}
}

// reopened opens the store in fsys and checks that all referenced blobs are there.
func reopened(t *testing.T, fsys *crashFS) *registry.Registry {
	t.Helper()
	store, err := open(fsys, "memory")
	require.NoError(t, err)
	reg, problems, err := registry.Open(context.Background(), store)
	require.NoError(t, err)
	require.Empty(t, problems)
	for digest := range reg.State().Digests() {
		_, err := reg.Blob(context.Background(), digest)
		require.NoError(t, err)
	}
	return reg
}

func TestCrashAtEveryOperation(t *testing.T) {
	for n := range operations(t) {
		fsys := newCrashFS()
		fsys.fault = crashAt(n)
		h, err := scenario(fsys, giveUp)
		require.ErrorIs(t, err, errCrashed, "operation %d", n)
		aftermaths(t, fsys, func(t *testing.T, found *crashFS) {
			reg := reopened(t, found)
			got := reg.State()
			if h.attempted == nil || got.Generation != h.attempted.Generation {
				require.Equal(t, h.acknowledged, got, "operation %d", n)
			} else {
				require.Equal(t, h.attempted, got, "operation %d", n)
			}
			// The store is usable, and its state survives a second crash.
			again := reopened(t, found.clone(rand.New(rand.NewPCG(1, 1)), func() bool { return true }))
			require.Equal(t, got, again.State())
			require.NoError(t, (&history{}).step(reg, 0))
		})
	}
}

// The process is killed and another one opens the directory, in which not everything is durable. Then the
// machine crashes.
func TestCrashAfterKillAtEveryOperation(t *testing.T) {
	for n := range operations(t) {
		fsys := newCrashFS()
		fsys.fault = crashAt(n)
		_, err := scenario(fsys, giveUp)
		require.ErrorIs(t, err, errCrashed)
		fsys.fault = nil
		found := reopened(t, fsys).State()
		aftermaths(t, fsys, func(t *testing.T, again *crashFS) {
			require.Equal(t, found, reopened(t, again).State(), "operation %d: what was served is lost", n)
		})
	}
}

func TestFaultAtEveryOperationChangesNothing(t *testing.T) {
	faults := map[string]fault{
		"no space":            {err: syscall.ENOSPC},
		"I/O error":           {err: syscall.EIO},
		"I/O error, yet done": {err: syscall.EIO, effect: true},
	}
	for name, injected := range faults {
		t.Run(name, func(t *testing.T) {
			for n := range operations(t) {
				checkFault(t, n, injected)
			}
		})
	}
}

// checkFault makes only operation n fail, and checks the store at that moment and after the scenario.
func checkFault(t *testing.T, n int, injected fault) {
	fsys := newCrashFS()
	fsys.fault = func(op operation) fault {
		if op.n == n {
			return injected
		}
		return fault{}
	}
	failed := false
	h, err := scenario(fsys, func(reg *registry.Registry, err error) bool {
		failed = true
		require.ErrorIs(t, err, injected.err)
		require.NotErrorIs(t, err, registry.ErrUncertain, "operation %d: one fault can be undone", n)
		for i := range 2 { // all lost, then all kept
			found := fsys.clone(rand.New(rand.NewPCG(1, 1)), func() bool { return i == 0 })
			require.Equal(t, reg.State(), reopened(t, found).State(), "operation %d", n)
		}
		return true
	})
	if failed {
		require.NoError(t, err, "operation %d: the steps after the fault succeed", n)
	}
	aftermaths(t, fsys, func(t *testing.T, found *crashFS) {
		require.Equal(t, h.acknowledged, reopened(t, found).State(), "operation %d", n)
	})
}

func TestLastingFaultLeavesOldOrNew(t *testing.T) {
	uncertain := 0
	for n := range operations(t) {
		fsys := newCrashFS()
		var first error
		fsys.fault = func(op operation) fault {
			return fault{err: map[bool]error{true: syscall.EIO}[op.n >= n && op.kind != "rename"]}
		}
		h, err := scenario(fsys, func(reg *registry.Registry, err error) bool {
			if first == nil {
				first = err
			}
			require.ErrorIs(t, err, syscall.EIO)
			return false
		})
		require.Error(t, err)
		aftermaths(t, fsys, func(t *testing.T, found *crashFS) {
			got := reopened(t, found).State()
			if !isUncertain(first) || got.Generation != h.attempted.Generation {
				require.Equal(t, h.acknowledged, got, "operation %d", n)
			} else {
				require.Equal(t, h.attempted, got, "operation %d", n)
			}
		})
		if isUncertain(first) {
			uncertain++
		}
	}
	require.Positive(t, uncertain, "the fsync after the rename is among the operations")
}

func isUncertain(err error) bool { return errors.Is(err, registry.ErrUncertain) }

func TestUncertainStoreTakesNoChange(t *testing.T) {
	fsys := newCrashFS()
	store, err := open(fsys, "memory")
	require.NoError(t, err)
	reg, _, err := registry.Open(context.Background(), store)
	require.NoError(t, err)
	h := &history{}
	require.NoError(t, h.step(reg, 0))
	acknowledged := reg.State()

	fsys.fault = func(op operation) fault {
		if op.kind == "syncdir" && op.name == "." {
			return fault{err: syscall.EIO}
		}
		return fault{}
	}
	require.ErrorIs(t, h.step(reg, 1), registry.ErrUncertain)
	fsys.fault = nil
	require.ErrorIs(t, h.step(reg, 1), registry.ErrUncertain, "also once the disk answers again")
	require.Same(t, acknowledged, reg.State())

	require.NoError(t, h.step(reopened(t, fsys), 1), "a store that is opened again takes changes")
}
