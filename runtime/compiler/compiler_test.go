package compiler

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"

	"github.com/vespo-dev/vespo/testdata/guests"
)

// TestMain makes the test binary usable as the child.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "serve" {
		os.Exit(Serve(os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func children(t *testing.T) Config {
	t.Helper()
	path, err := os.Executable()
	require.NoError(t, err)
	return Config{Command: []string{path, "compiler", "serve"}}
}

// A runtime of this process finds the child's file, which equals the one compiled in this process.
func TestChildMakesTheSameFile(t *testing.T) {
	module := guests.Wat(t, "echo")
	here, there := t.TempDir(), t.TempDir()
	want, err := New(Config{}).Compile(t.Context(), here, module, nil)
	require.NoError(t, err)
	got, err := New(children(t)).Compile(t.Context(), there, module, nil)
	require.NoError(t, err)
	require.Equal(t, strings.TrimPrefix(want, here), strings.TrimPrefix(got, there))
	wanted, err := os.ReadFile(want)
	require.NoError(t, err)
	made, err := os.ReadFile(got)
	require.NoError(t, err)
	require.True(t, bytes.Equal(wanted, made))

	cache, err := wazero.NewCompilationCacheWithDir(there)
	require.NoError(t, err)
	defer cache.Close(t.Context())
	r := wazero.NewRuntimeWithConfig(t.Context(), RuntimeConfig().WithCompilationCache(cache))
	defer r.Close(t.Context())
	_, err = r.CompileModule(t.Context(), module)
	require.NoError(t, err)
	all, err := filepath.Glob(filepath.Join(there, "*", "*"))
	require.NoError(t, err)
	require.Len(t, all, 1, "nothing was compiled again")
}

// wazero loads the machine code of a module for its stub.
func TestFilesHaveTheNameOfTheStub(t *testing.T) {
	module, stub := guests.Wat(t, "echo"), guests.Wat(t, "hello") // any module that is smaller will do
	for name, cfg := range map[string]Config{"here": {}, "child": children(t)} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			code, err := New(cfg).Compile(t.Context(), t.TempDir(), module, nil)
			require.NoError(t, err)
			path, err := New(cfg).Compile(t.Context(), dir, module, stub)
			require.NoError(t, err)
			other, err := New(cfg).Compile(t.Context(), t.TempDir(), stub, nil)
			require.NoError(t, err)
			require.Equal(t, filepath.Base(other), filepath.Base(path))
			want, err := os.ReadFile(code)
			require.NoError(t, err)
			got, err := os.ReadFile(path)
			require.NoError(t, err)
			require.True(t, bytes.Equal(want, got))

			_, err = New(cfg).Compile(t.Context(), t.TempDir(), module, module[:20])
			var refused *Refusal
			require.Error(t, err)
			require.False(t, errors.As(err, &refused), "a bad stub is not the module's fault")
		})
	}
}

// The child runs in the directory of its result, so a relative path means something else to it. The default data directory
// of the server is relative.
func TestRelativeDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("work", 0o700))
	path, err := New(children(t)).Compile(t.Context(), "work", guests.Wat(t, "echo"), nil)
	require.NoError(t, err)
	require.Equal(t, "work", filepath.Dir(filepath.Dir(path)))
	require.FileExists(t, path)
}

// counts returns the Stats without the time.
func counts(c *Compiler) Stats {
	s := c.Stats()
	s.Time = 0
	return s
}

func TestInvalidModulesAreRefused(t *testing.T) {
	for name, cfg := range map[string]Config{"here": {}, "child": children(t)} {
		t.Run(name, func(t *testing.T) {
			c := New(cfg)
			_, err := c.Compile(t.Context(), t.TempDir(), append(guests.Wat(t, "echo"), 0xff), nil)
			var refused *Refusal
			require.ErrorAs(t, err, &refused)
			require.Equal(t, Stats{Parallel: cap(c.turns), Refused: 1}, counts(c))
			require.Regexp(t, "^is not valid WebAssembly: [^\n]+$", refused.Reason)
		})
	}
}

func TestTimeIsBounded(t *testing.T) {
	cfg := children(t)
	cfg.CPUTime = time.Second
	_, err := New(cfg).Compile(t.Context(), t.TempDir(), guests.Long(t, "hello", 4000, 1000), nil)
	var refused *Refusal
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "cannot be compiled: that takes longer than 1s of processor time", refused.Reason)
}

func TestTimeForValidationIsBounded(t *testing.T) {
	if goruntime.GOOS != "linux" {
		t.Skip("only Linux tells the child its processor time")
	}
	c := New(children(t))
	c.reading = time.Microsecond
	_, err := c.Compile(t.Context(), t.TempDir(), guests.Long(t, "hello", 1000, 1000), nil)
	var refused *Refusal
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "cannot be loaded: to validate it takes longer than 1\u00b5s of processor time", refused.Reason)
}

func TestMemoryIsBounded(t *testing.T) {
	cfg := children(t)
	cfg.MemoryBytes = 64 << 20
	_, err := New(cfg).Compile(t.Context(), t.TempDir(), guests.Long(t, "hello", 1, 1_000_000), nil)
	var refused *Refusal
	require.ErrorAs(t, err, &refused)
	require.Regexp(t, "^cannot be compiled: .*needs more than 64 MiB of memory$", refused.Reason)
}

// A compilation ends with its context, and releases its place to others.
func TestContextEndsTheChild(t *testing.T) {
	for name, cfg := range map[string]Config{"here": {}, "child": children(t)} {
		t.Run(name, func(t *testing.T) {
			c := New(cfg)
			for range cap(c.turns) + 1 {
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				_, err := c.Compile(ctx, t.TempDir(), guests.Long(t, "hello", 4000, 1000), nil)
				cancel()
				require.ErrorIs(t, err, context.DeadlineExceeded)
			}
			_, err := c.Compile(t.Context(), t.TempDir(), guests.Wat(t, "echo"), nil)
			require.NoError(t, err)
			require.Equal(t, Stats{Parallel: cap(c.turns), Compiled: 1, Failed: int64(cap(c.turns)) + 1}, counts(c))
		})
	}
}

func TestWaitingForATurnEndsWithTheContext(t *testing.T) {
	c := New(Config{})
	for range cap(c.turns) {
		c.turns <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := c.Compile(ctx, "", nil, nil)
		ended <- err
	}()
	require.Eventually(t, func() bool { return c.Stats().Waiting == 1 }, time.Minute, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.Equal(t, Stats{Parallel: cap(c.turns), Running: cap(c.turns), Failed: 1}, c.Stats())
}

// If no child can be started, modules are compiled in this process, with one log message.
func TestWithoutChildren(t *testing.T) {
	var log bytes.Buffer
	c := New(Config{Command: []string{filepath.Join(t.TempDir(), "missing"), "x"}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for range 2 {
		_, err := c.Compile(t.Context(), t.TempDir(), guests.Wat(t, "echo"), nil)
		require.NoError(t, err)
	}
	require.Equal(t, 1, strings.Count(log.String(), "no process can be started"))
}

// A child exits when its parent is gone.
func TestChildEndsWithoutItsParent(t *testing.T) {
	path, err := os.Executable()
	require.NoError(t, err)
	child := exec.Command(path, "serve")
	stdin, err := child.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	require.NoError(t, writeJob(stdin, job{Dir: t.TempDir(), MemoryBytes: 1 << 40}, guests.Long(t, "hello", 1000, 1000), nil))
	require.NoError(t, stdin.Close())
	_ = child.Wait()
	require.Equal(t, exitDeserted, child.ProcessState.ExitCode())
}

func TestBrokenJobs(t *testing.T) {
	for name, in := range map[string]string{"empty": "", "short": "\x05\x00\x00\x00{", "long": "\xff\xff\xff\xff", "not JSON": "\x01\x00\x00\x00x"} {
		t.Run(name, func(t *testing.T) {
			_, err := readJob(strings.NewReader(in))
			require.Error(t, err)
		})
	}
	_, err := readJob(strings.NewReader("\x13\x00\x00\x00" + `{"ModuleBytes":-10}`))
	require.ErrorContains(t, err, "too long")
	require.False(t, errors.Is(err, errNoChild))
}

// TestBrokenJobsAreNotTheModulesFault sends a child jobs that it cannot read.
func TestBrokenJobsAreNotTheModulesFault(t *testing.T) {
	for name, job := range map[string]string{"nothing": "", "no length": "ab", "no JSON": "\x02\x00\x00\x00{]", "too long": "\xff\xff\xff\xff"} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, exitBroken, Serve(strings.NewReader(job), &stdout, &stderr), name)
		require.Empty(t, stdout.String())
		require.NotEmpty(t, stderr.String())
	}
	codes := map[int]bool{}
	for _, code := range []int{exitDone, exitFatal, exitInvalid, exitMemory, exitTime, exitPanic, exitBroken, exitDeserted, exitFull} {
		require.False(t, codes[code], "two exits with the code %d", code)
		codes[code] = true
	}
}
