package engine

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/internal/imagefile"
)

// inputs returns the options of a module whose snapshot is kept.
func inputs(o ModuleOptions, n byte) ModuleOptions {
	o.Inputs[0] = n
	return o
}

func keepingConfig(dir string) Config {
	return Config{Slots: 1, CacheDir: dir, Build: "test", KeepSnapshots: true}
}

// recallsIn prepares the guest "state" in an engine of its own, and reports whether its snapshot was found. The state
// is checked in any case.
func recallsIn(t *testing.T, cfg Config, o ModuleOptions) bool {
	t.Helper()
	e, err := Open(t.Context(), withNote(cfg))
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close(t.Context())) }()
	return recalls(t, e, o)
}

// recalls is recallsIn for an open engine.
func recalls(t *testing.T, e *Engine, o ModuleOptions) bool {
	t.Helper()
	before := e.Stats().Recalled
	m := compileBytes(t, e, guest(t, "state"), o)
	in, err := m.Prepare(t.Context(), slot(t, e))
	require.NoError(t, err)
	require.EqualValues(t, 10, call(t, in, get, 0))
	require.EqualValues(t, 2, call(t, in, get, 1))
	require.Equal(t, "as it was", string(in.Memory()[16:25]))
	require.EqualValues(t, 77, in.Memory()[150000])
	require.Len(t, in.Memory(), 3*PageBytes)
	require.Equal(t, 9+1, len(in.Memory())-bytes.Count(in.Memory(), []byte{0}), "all else is zero")
	call(t, in, scramble, 0xffff)
	_, err = in.Reset()
	require.NoError(t, err)
	require.EqualValues(t, 10, call(t, in, get, 0))
	require.NoError(t, in.Close())
	closeModule(t, m)
	return e.Stats().Recalled > before
}

func TestSnapshotsAreRecalledOnlyForTheSameInputs(t *testing.T) {
	dir := t.TempDir()
	cfg, o := keepingConfig(dir), inputs(stateOptions, 1)
	require.False(t, recallsIn(t, cfg, o))
	for range 2 {
		require.True(t, recallsIn(t, cfg, o))
	}
	for name, change := range map[string]func(cfg *Config, o *ModuleOptions){
		"inputs":  func(_ *Config, o *ModuleOptions) { o.Inputs[31] = 1 },
		"memory":  func(_ *Config, o *ModuleOptions) { o.MemoryBytes = 10 * PageBytes },
		"slots":   func(cfg *Config, _ *ModuleOptions) { cfg.SlotBytes = 20 * PageBytes },
		"entries": func(_ *Config, o *ModuleOptions) { o.Entries = o.Entries[:len(o.Entries)-1] },
		"work":    func(_ *Config, o *ModuleOptions) { o.WorkLimit = 1000_000 },
	} {
		cfg, o := cfg, o
		change(&cfg, &o)
		require.False(t, recallsIn(t, cfg, o), name)
		require.True(t, recallsIn(t, cfg, o), name)
	}
	require.True(t, recallsIn(t, cfg, o), "each is kept beside the others")
	for name, change := range map[string]func(cfg *Config){
		"build":     func(cfg *Config) { cfg.Build = "another" },
		"rewriting": func(cfg *Config) { cfg.StackBytes = 1 << 20 },
	} {
		other := cfg
		change(&other)
		require.False(t, recallsIn(t, other, o), name)
		require.True(t, recallsIn(t, other, o), name)
		require.False(t, recallsIn(t, cfg, o), "a program removes the snapshots of others: %s", name)
	}
	for name, change := range map[string]func(cfg *Config, o *ModuleOptions){
		"no build":  func(cfg *Config, _ *ModuleOptions) { cfg.Build = "" },
		"no inputs": func(_ *Config, o *ModuleOptions) { o.Inputs = [sha256.Size]byte{} },
		"not kept":  func(cfg *Config, _ *ModuleOptions) { cfg.KeepSnapshots = false },
	} {
		cfg, o := cfg, o
		change(&cfg, &o)
		require.False(t, recallsIn(t, cfg, o), name)
		require.False(t, recallsIn(t, cfg, o), name)
	}
}

// A file of another snapshot, or one that was cut or changed before its checksum was made, is never used.
func TestSnapshotsThatDoNotFitAreMadeAnew(t *testing.T) {
	e := open(t, keepingConfig(t.TempDir()))
	o := inputs(stateOptions, 1)
	require.False(t, recalls(t, e, o))
	m := compileBytes(t, e, guest(t, "state"), o)
	defer closeModule(t, m)
	id, ok := m.snapshotKey()
	require.True(t, ok)
	good, ok := e.code.files.Snapshot(id)
	require.True(t, ok)
	refused := func(content []byte, what string) {
		t.Helper()
		require.NoError(t, e.code.files.Keep(id, e.useOf(m), content))
		require.False(t, recalls(t, e, o), what)
		require.True(t, recalls(t, e, o), what)
	}
	for n := 0; n < len(good); n += 1 + n/20 {
		refused(good[:n], fmt.Sprintf("%d of %d bytes", n, len(good)))
	}
	for what, change := range map[string]func(s *imagefile.Snapshot){
		"key":          func(s *imagefile.Snapshot) { s.Key[0]++ },
		"clock":        func(s *imagefile.Snapshot) { s.Clock = e.clock() + int64(time.Hour) },
		"beyond":       func(s *imagefile.Snapshot) { s.MemoryBytes = 101 * PageBytes },
		"uneven":       func(s *imagefile.Snapshot) { s.MemoryBytes++ },
		"globals":      func(s *imagefile.Snapshot) { s.Globals = s.Globals[1:] },
		"host":         func(s *imagefile.Snapshot) { s.Host = []byte("x") },
		"smaller":      func(s *imagefile.Snapshot) { s.MemoryBytes = PageBytes },
		"overlapping":  func(s *imagefile.Snapshot) { s.Pieces[1].Offset = 0 },
		"out of order": func(s *imagefile.Snapshot) { s.Pieces[0], s.Pieces[1] = s.Pieces[1], s.Pieces[0] },
	} {
		s, err := imagefile.Decode(bytes.Clone(good))
		require.NoError(t, err)
		change(s)
		refused(imagefile.Encode(s), what)
	}
}

// hostText is a state of host functions that can be kept.
type hostText struct{ text string }

func (h *hostText) MarshalBinary() ([]byte, error) {
	if h.text == "" {
		return nil, errors.New("nothing to keep")
	}
	return []byte(h.text), nil
}

func (h *hostText) UnmarshalBinary(state []byte) error {
	h.text = string(state)
	return nil
}

func TestStateOfHostFunctionsIsKeptWithTheSnapshot(t *testing.T) {
	e := open(t, keepingConfig(t.TempDir()))
	o := inputs(stateOptions, 1)
	text := ""
	o.Bind = func(in *Instance) {
		in.OnCapture = func() { in.Module().Shared.(*hostText).text = text }
		if in.Module().Shared == nil {
			in.Module().Shared = &hostText{}
		}
	}
	require.False(t, recalls(t, e, o))
	text = "state"
	require.False(t, recalls(t, e, o), "the first state could not be kept")
	o.Prepared = func(m *Module) { require.Equal(t, "state", m.Shared.(*hostText).text) }
	require.True(t, recalls(t, e, o))
	o.Bind, o.Prepared = func(in *Instance) { in.Module().Shared = "of another type" }, nil
	require.False(t, recalls(t, e, o))
	require.False(t, recalls(t, e, o), "it cannot be kept")
}

func TestForgottenSnapshotsAreGone(t *testing.T) {
	e := open(t, keepingConfig(t.TempDir()))
	o := inputs(stateOptions, 1)
	recalls(t, e, o)
	m := compileBytes(t, e, guest(t, "state"), o)
	id, ok := m.SnapshotID()
	require.True(t, ok)
	require.NoError(t, e.ForgetSnapshot(id))
	require.NoError(t, e.ForgetSnapshot(id))
	closeModule(t, m)
	require.False(t, recalls(t, e, o))
	require.NoError(t, e.Forget(sha256.Sum256(guest(t, "state"))))
	require.False(t, recalls(t, e, o))
}

// A module that needs fresh instances has no snapshot, in memory or on disk.
func TestFreshModulesKeepNoSnapshot(t *testing.T) {
	e := open(t, keepingConfig(t.TempDir()))
	o := inputs(stateOptions, 1)
	o.Fresh = true
	for range 2 {
		m := compileBytes(t, e, guest(t, "state"), o)
		in, err := m.Prepare(t.Context(), slot(t, e))
		require.NoError(t, err)
		require.EqualValues(t, 10, call(t, in, get, 0))
		require.NoError(t, in.Close())
		again, _, err := m.Instantiate(t.Context(), soon(), slot(t, e))
		require.NoError(t, err)
		require.Equal(t, "as it was", string(again.Memory()[16:25]))
		require.NoError(t, again.Close())
		closeModule(t, m)
	}
	require.Zero(t, e.Stats().Recalled)
	require.Zero(t, e.Stats().Code.Snapshots)
}

// The guests' clock never goes back, and not even while the server is stopped.
func TestClockGoesOn(t *testing.T) {
	day := time.Date(2026, time.May, 1, 0, 0, 0, 0, time.UTC)
	require.Equal(t, 24*time.Hour, day.Add(24*time.Hour).Sub(clockOrigin(day))-day.Sub(clockOrigin(day)))
	require.Equal(t, clockOrigin(day), clockOrigin(day.Add(time.Hour)))
	wrong := time.Date(1970, time.January, 1, 0, 0, 0, 0, time.UTC)
	require.Equal(t, wrong, clockOrigin(wrong), "a machine whose clock is not set")
}

// The log has the reason why a file is not used.
func TestUnusableSnapshotsAreLogged(t *testing.T) {
	var log bytes.Buffer
	cfg := keepingConfig(t.TempDir())
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	e := open(t, cfg)
	o := inputs(stateOptions, 1)
	recalls(t, e, o)
	m := compileBytes(t, e, guest(t, "state"), o)
	defer closeModule(t, m)
	id, _ := m.snapshotKey()
	require.NoError(t, e.code.files.Keep(id, e.useOf(m), []byte("x")))
	require.False(t, recalls(t, e, o))
	require.Equal(t, 1, strings.Count(log.String(), "is made anew"))
}
