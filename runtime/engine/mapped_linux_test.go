package engine

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable/crashtest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// mapped returns the mappings of files in dir.
func mapped(t *testing.T, dir string) (lines []string) {
	t.Helper()
	all, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	for line := range bytes.Lines(all) {
		if bytes.Contains(line, []byte(dir)) {
			lines = append(lines, string(line))
		}
	}
	return lines
}

// useState prepares the guest "state" and calls it, also until it traps and until it is stopped.
func useState(t *testing.T, e *Engine) {
	t.Helper()
	ctx := context.Background()
	m, err := e.Compile(ctx, decoded(t, guest(t, "state")), stateOptions)
	require.NoError(t, err)
	s, ok := e.AcquireSlot()
	require.True(t, ok)
	in, err := m.Prepare(ctx, s)
	require.NoError(t, err)
	state(t, in)
	out := in.Call(ctx, time.Now().Add(5*time.Millisecond), spin, []uint64{0})
	require.Equal(t, Deadline, out.Kind)
	require.NoError(t, in.Close())
	s, ok = e.AcquireSlot()
	require.True(t, ok)
	in, out, err = m.Instantiate(ctx, soon(), s)
	require.NoError(t, err)
	require.True(t, out.Clean())
	out = in.Call(ctx, soon(), trap, []uint64{0})
	require.Equal(t, Trap, out.Kind)
	require.ErrorContains(t, out.Err, "wasm stack trace")
	require.NoError(t, in.Close())
	require.NoError(t, m.Close(ctx))
}

// mapping opens an engine that maps code of any size.
func mapping(t *testing.T, cfg Config) *Engine {
	t.Helper()
	e := open(t, cfg)
	e.code.leastMapped = 0
	return e
}

// Code is mapped after its compilation and after each load, and no mapping stays when modules were closed.
func TestCodeIsMappedFromItsFile(t *testing.T) {
	dir := t.TempDir()
	e := mapping(t, Config{CacheDir: dir})
	for range 200 {
		useState(t, e)
	}
	m := compile(t, e, "state", stateOptions)
	lines := mapped(t, dir)
	require.NotEmpty(t, lines)
	for _, line := range lines {
		require.Contains(t, line, " r-xs ")
	}
	require.NoError(t, e.Retain(), "removes the file")
	in := prepare(t, m)
	state(t, in)
	for n := 2; n > 1; n = len(mapped(t, dir)) { // the test ends by its timeout if they stay
		goruntime.GC()
		time.Sleep(time.Millisecond)
	}
	state(t, in)
}

// A packed file can be loaded into memory, as after a change of wazero.
func TestPackedCodeIsLoadedWithoutMapping(t *testing.T) {
	dir := t.TempDir()
	e := mapping(t, Config{CacheDir: dir})
	useState(t, e)
	e.code.unmapped.Store(true)
	for n := 1; n > 0; n = len(mapped(t, dir)) { // one may stay until the next load
		useState(t, e)
		goruntime.GC()
	}
	require.EqualValues(t, 1, e.Stats().Code.Misses, "compiled once")
}

// A sound file of other code is not executed.
func TestSwappedFilesAreNotExecuted(t *testing.T) {
	dir := t.TempDir()
	e := mapping(t, Config{CacheDir: dir})
	useState(t, e)
	own := cacheFiles(t, dir)[0]
	m, err := e.Compile(t.Context(), decoded(t, guest(t, "start")), ModuleOptions{})
	require.NoError(t, err)
	require.NoError(t, m.Close(t.Context()))
	for _, file := range cacheFiles(t, dir) {
		if file != own {
			require.NoError(t, os.Rename(file, own))
		}
	}
	useState(t, e)
	require.Greater(t, e.Stats().Code.Misses, int64(2), "compiled again")
}

// Without execution on the file system, code is loaded as before, and the log says it once.
func TestCacheWithoutExecution(t *testing.T) {
	dir := crashtest.NoExecution(t)
	log := new(bytes.Buffer)
	e := mapping(t, Config{CacheDir: filepath.Join(dir, "cache"), Log: slog.New(slog.NewTextHandler(log, nil))})
	for range 3 {
		useState(t, e)
	}
	require.Empty(t, mapped(t, dir))
	require.Equal(t, 1, strings.Count(log.String(), "cannot be mapped"), log)
	require.EqualValues(t, 1, e.Stats().Code.Misses)
}

// Code that was compiled before is loaded while the disk has no space, mapped or not.
func TestLoadOnAFullDisk(t *testing.T) {
	for name, unmapped := range map[string]bool{"mapped": false, "read": true} {
		t.Run(name, func(t *testing.T) {
			disk := crashtest.SmallDisk(t)
			t.Cleanup(func() { // a mapped file keeps its disk mounted
				for len(mapped(t, disk)) > 0 {
					goruntime.GC()
					time.Sleep(time.Millisecond)
				}
			})
			e := mapping(t, Config{CacheDir: filepath.Join(disk, "cache")})
			useState(t, e)
			free := crashtest.FillDisk(t, disk)
			defer free()
			e.code.unmapped.Store(unmapped)
			for range 3 {
				useState(t, e)
			}
			require.EqualValues(t, 1, e.Stats().Code.Misses, "compiled once")
			left, err := os.ReadDir(e.code.stage)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

// A failure that passes must not end the mapping of code for good.
func TestFailuresThatPass(t *testing.T) {
	e := open(t, Config{CacheDir: t.TempDir()})
	e.noteUnmapped(shellError(&fs.PathError{Op: "open", Path: "shell", Err: syscall.EMFILE}))
	require.False(t, e.code.unmapped.Load())
	e.noteUnmapped(shellError(errors.New("compilationcache: invalid header length: 3")))
	require.True(t, e.code.unmapped.Load())
}

// Of mapped code the resident part counts: at first all of it, then at least a part, and then what the guest has touched.
func TestResidentCodeCounts(t *testing.T) {
	e := mapping(t, Config{CacheDir: t.TempDir()})
	m, err := e.Compile(t.Context(), decoded(t, guests.Longer(guest(t, "state"), 500, 100)), stateOptions)
	require.NoError(t, err)
	in, err := m.Prepare(t.Context(), slot(t, e))
	require.NoError(t, err)
	state(t, in)
	whole, code := e.Stats(), int64(len(m.currentCode().mapped))
	require.Greater(t, code, int64(512<<10))
	files := e.MappedBytes()
	require.Greater(t, files, code)
	require.GreaterOrEqual(t, whole.CodeBytes, files)
	rest := whole.CodeBytes - code
	now := time.Now()
	e.MeasureCode(now)
	require.Equal(t, rest+code/youngPart, e.LoadedBytes(), "at least a part of young code")
	e.MeasureCode(now.Add(MeasureEvery - 1))
	require.Equal(t, rest+code/youngPart, e.LoadedBytes(), "it was measured just now")
	e.MeasureCode(now.Add(MeasureEvery))
	little := e.LoadedBytes() - rest
	require.Greater(t, little, int64(0))
	require.Less(t, little, code/youngPart)
	var touched byte
	for _, b := range m.currentCode().mapped[:code/2] {
		touched |= b
	}
	require.NotZero(t, touched)
	e.MeasureCode(now.Add(2 * MeasureEvery))
	require.GreaterOrEqual(t, e.LoadedBytes()-rest, code/2)
	require.Equal(t, files, e.MappedBytes())
	require.NoError(t, in.Close())
	closeModule(t, m)
	require.Zero(t, e.MappedBytes())
	require.Zero(t, e.LoadedBytes())
	e.MeasureCode(now.Add(3 * MeasureEvery))
	require.Zero(t, e.LoadedBytes())
}

// Where the resident part cannot be known, all of the code counts, and the log says it once.
func TestCodeThatCannotBeMeasuredCountsAsAWhole(t *testing.T) {
	log := new(bytes.Buffer)
	e := mapping(t, Config{CacheDir: t.TempDir(), Log: slog.New(slog.NewTextHandler(log, nil))})
	e.code.resident = func([][]byte) ([]int64, error) { return nil, fs.ErrPermission }
	compile(t, e, "state", stateOptions)
	whole := e.LoadedBytes()
	require.GreaterOrEqual(t, whole, e.MappedBytes())
	now := time.Now()
	for range 3 {
		e.MeasureCode(now)
		require.Equal(t, whole, e.LoadedBytes())
	}
	require.Equal(t, 1, strings.Count(log.String(), "the resident part of compiled code is not known"), log)
	e.code.resident = func(mappings [][]byte) ([]int64, error) { return make([]int64, len(mappings)), nil }
	e.MeasureCode(now)
	require.Less(t, e.LoadedBytes(), whole, "it is tried again")
}

// Code that is closed while it is measured does not count afterwards.
func TestClosedCodeIsNotCharged(t *testing.T) {
	e := mapping(t, Config{CacheDir: t.TempDir()})
	m, err := e.Compile(t.Context(), decoded(t, guest(t, "state")), stateOptions)
	require.NoError(t, err)
	due := e.codes.due(time.Now())
	require.Len(t, due, 1)
	closeModule(t, m)
	e.codes.measured(due, []int64{4096}, time.Now())
	require.Zero(t, e.LoadedBytes())
}

// Code that is small, or too much for the table of mappings, is read.
func TestMappingsAreBounded(t *testing.T) {
	dir := t.TempDir()
	e := open(t, Config{CacheDir: dir})
	useState(t, e)
	require.Empty(t, mapped(t, dir), "it is small")

	dir = t.TempDir()
	e = mapping(t, Config{CacheDir: dir})
	e.code.mostMapped = 1
	first, err := e.Compile(t.Context(), decoded(t, guest(t, "start")), ModuleOptions{})
	require.NoError(t, err)
	for range 3 {
		useState(t, e)
		require.Len(t, mapped(t, dir), 1)
	}
	require.NoError(t, first.Close(t.Context()))
	compile(t, e, "state", stateOptions)
	require.Equal(t, 1, e.codes.mappings())
	lines := mapped(t, dir)
	require.Contains(t, lines[len(lines)-1], " r-xs ")
	require.EqualValues(t, 2, e.Stats().Code.Misses, "each was compiled once")
}
