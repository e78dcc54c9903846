//go:build unix

package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable/crashtest"
)

func TestMain(m *testing.M) {
	os.Exit(crashtest.Main(m.Run, map[string]crashtest.Child{"keep": keepForever}))
}

// keepForever writes and removes snapshots.
func keepForever(dir string, acknowledge func(string, ...any)) error {
	ctx := context.Background()
	e, err := Open(ctx, withNote(keepingConfig(dir)))
	if err != nil {
		return err
	}
	bin, err := testdata.ReadFile("testdata/state.wasm")
	for n := byte(1); err == nil; n = n%4 + 1 {
		if err = keepOnce(ctx, e, bin, inputs(stateOptions, n)); err == nil {
			acknowledge("%d", n)
		}
	}
	return err
}

func keepOnce(ctx context.Context, e *Engine, bin []byte, o ModuleOptions) error {
	d, err := e.Decode(bin)
	if err != nil {
		return err
	}
	m, err := e.Compile(ctx, d, o)
	if err != nil {
		return err
	}
	id, _ := m.SnapshotID()
	err = e.ForgetSnapshot(id)
	free, ok := e.AcquireSlot()
	if !ok {
		return errors.New("no slot")
	}
	in, failed := m.Prepare(ctx, free)
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	return errors.Join(in.Close(), m.Close(ctx))
}

// A server that is killed while it writes and removes snapshots leaves none that is wrong.
func TestKilledWhileSnapshotsAreWritten(t *testing.T) {
	if testing.Short() {
		t.Skip("under an emulator, which -short is for, this program cannot start itself")
	}
	const rounds = 20
	dir := t.TempDir()
	for range rounds {
		crashtest.Kill(t, "keep", dir, 30)
		for n := range byte(4) {
			recallsIn(t, keepingConfig(dir), inputs(stateOptions, n+1))
			require.True(t, recallsIn(t, keepingConfig(dir), inputs(stateOptions, n+1)))
		}
		left, err := filepath.Glob(filepath.Join(dir, "work", "*"))
		require.NoError(t, err)
		require.Empty(t, left, "what was being written is removed")
	}
}
