package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/linestest"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

var errInjected = errors.New("injected")

// witness observes the parts of a list, and lets some fail.
type witness struct {
	failOpen int                 // index of the part that cannot be opened; -1: none
	opened   func(index int)     // called after a part was opened; may be nil
	broken   map[string]chan any // by name: the part's Run fails once the channel is closed

	mu     sync.Mutex
	names  []string // guarded by mu; of the parts, in the order of opening
	closed []string // guarded by mu
}

func newWitness() *witness { return &witness{failOpen: -1, broken: map[string]chan any{}} }

// wrap is the Wrap of the list.
func (w *witness) wrap(p parts.Part) parts.Part {
	open, run, stop := p.Open, p.Run, p.Close
	p.Open = func(ctx context.Context) error {
		w.mu.Lock()
		index := len(w.names)
		w.mu.Unlock()
		if index == w.failOpen {
			return errInjected
		}
		if open != nil {
			if err := open(ctx); err != nil {
				return err
			}
		}
		w.mu.Lock()
		w.names = append(w.names, p.Name)
		w.mu.Unlock()
		if w.opened != nil {
			w.opened(index)
		}
		return nil
	}
	var working sync.WaitGroup // the work of Run after a failure
	if broken := w.broken[p.Name]; broken != nil {
		p.Run = func(ctx context.Context) error {
			ended := make(chan error, 1)
			working.Go(func() { ended <- run(ctx) })
			select {
			case <-broken:
				return errInjected
			case err := <-ended:
				return err
			}
		}
	}
	p.Close = func(ctx context.Context) error {
		w.mu.Lock()
		w.closed = append(w.closed, p.Name)
		w.mu.Unlock()
		defer working.Wait()
		if stop != nil {
			return stop(ctx)
		}
		return nil
	}
	return p
}

// requireClosed checks that every opened part was closed once, last in, first out.
func (w *witness) requireClosed(t *testing.T) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	reversed := slices.Clone(w.names)
	slices.Reverse(reversed)
	require.Equal(t, reversed, w.closed)
}

// descriptors returns the names of the open files of this process below a directory.
func descriptors(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil // this system does not have it
	}
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name())); err == nil && strings.HasPrefix(target, dir) {
			names = append(names, target)
		}
	}
	return names
}

// everything returns a command whose server has every part, with its data below dir.
func everything(t *testing.T, dir string) *ServeCmd {
	t.Helper()
	file := filepath.Join(dir, "vespo.toml")
	require.NoError(t, os.WriteFile(file, []byte("[[service]]\nprefix = \"files\"\nstatic = \".\"\n"), 0o644))
	cfg, err := parse(t, "--demo", "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--lambda-listen=127.0.0.1:0", "--worker-listen=127.0.0.1:0",
		"--slots=2", "--memory=1MiB", "--root", dir, "--data", filepath.Join(dir, "data"))
	require.NoError(t, err)
	return &ServeCmd{source: named(file), Config: *cfg}
}

// serveWitnessed runs a server with every part. up is called when it serves. It returns the output and the error.
func serveWitnessed(t *testing.T, ctx context.Context, dir string, w *witness, up func(*server)) (string, error) {
	t.Helper()
	said, cmd := linestest.New(), everything(t, dir)
	s := newServer(ctx, &cmd.Config, stdio.Streams{Err: said}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	s.list.Wrap = w.wrap
	s.before = openHeapFloor
	released := false
	s.release = func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		require.Empty(t, w.closed, "a second signal ends the process from here on, whatever hangs")
		released = true
	}
	var called sync.WaitGroup
	reached, cancel := context.WithCancel(ctx)
	called.Go(func() {
		if said.Await(reached, func(text string) bool { return strings.Contains(text, "add a service:") }) && up != nil {
			up(s)
		}
	})
	err := s.serve(ctx, func(ctx context.Context, s *server) error { return cmd.prepare(ctx, s, nil) })
	cancel()
	called.Wait()
	require.Equal(t, s.list.Context().Err() != nil && slices.Contains(w.names, "the watcher of the configuration") && w.failOpen < 0, released)
	w.requireClosed(t)
	require.Empty(t, descriptors(t, dir), "files are left open")
	return said.String(), err
}

// TestEveryPathClosesEveryPart lets the opening of each part fail, and stops a server after each part and while it
// serves: on every path, each open part is closed once, last in, first out, and can be opened again.
func TestEveryPathClosesEveryPart(t *testing.T) {
	dir := t.TempDir()
	var names []string
	t.Run("stopped while it serves", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := newWitness()
		_, err := serveWitnessed(t, ctx, dir, w, func(*server) { cancel() })
		require.NoError(t, err)
		names = w.names
	})
	require.GreaterOrEqual(t, len(names), 17, names)
	for index, name := range names {
		t.Run("cannot open "+name, func(t *testing.T) {
			w := newWitness()
			w.failOpen = index
			_, err := serveWitnessed(t, t.Context(), dir, w, nil)
			require.ErrorIs(t, err, errInjected)
			require.Len(t, w.names, index)
		})
		t.Run("stopped after "+name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			w := newWitness()
			w.opened = func(at int) {
				if at == index {
					cancel()
				}
			}
			_, err := serveWitnessed(t, ctx, dir, w, nil)
			if err != nil {
				require.ErrorIs(t, err, context.Canceled)
			}
		})
	}
}

// TestPartsThatFail lets parts fail while the server serves: it drains, closes every part and returns the error.
func TestPartsThatFail(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"the public server", "the admin server", "the Lambda API", "the events of the Lambda API", "the idle loop", "the work in the background"} {
		t.Run(name, func(t *testing.T) {
			w := newWitness()
			w.broken[name] = make(chan any)
			_, err := serveWitnessed(t, t.Context(), dir, w, func(*server) { close(w.broken[name]) })
			require.ErrorIs(t, err, errInjected)
		})
	}
	for index, name := range []string{"the public server", "the Lambda API", "the admin server"} {
		t.Run("the listener of "+name, func(t *testing.T) {
			_, err := serveWitnessed(t, t.Context(), dir, newWitness(), func(s *server) {
				require.NoError(t, s.surfaces[index].listener.TCPListener.Close())
			})
			require.ErrorContains(t, err, fmt.Sprintf("accept connections of %s on 127.0.0.1:", name))
		})
	}
}

// TestCheckClosesEveryPart checks the same of "vespo check", also where preparing a service fails.
func TestCheckClosesEveryPart(t *testing.T) {
	temp, files := t.TempDir(), t.TempDir()
	t.Setenv("TMPDIR", temp)
	for _, good := range []bool{true, false} {
		t.Run(fmt.Sprint(good), func(t *testing.T) {
			dir := filepath.Join(files, fmt.Sprint(good))
			require.NoError(t, os.Mkdir(dir, 0o755))
			text := "[server]\nlambda-listen = \"127.0.0.1:0\"\nroot = \".\"\n[[service]]\nprefix = \"files\"\nstatic = \".\"\n"
			if !good {
				text += "[[service]]\nprefix = \"m\"\nmodule = \"m.wasm\"\n"
				unstartable := []byte("\x00asm\x01\x00\x00\x00\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x08\x01\x00\x0a\x05\x01\x03\x00\x00\x0b") // traps as it starts
				require.NoError(t, os.WriteFile(filepath.Join(dir, "m.wasm"), unstartable, 0o644))
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, "vespo.toml"), []byte(text), 0o644))
			file, cfg, err := readConfig(named(filepath.Join(dir, "vespo.toml")), 1<<20)
			require.NoError(t, err)
			w, list := newWitness(), parts.New(t.Context())
			list.Wrap = w.wrap
			require.Equal(t, good, rehearse(t.Context(), list, cfg, file) == nil)
			w.requireClosed(t)
			require.Contains(t, w.closed, "the dead letters of the Lambda API")
			require.Empty(t, append(descriptors(t, temp), descriptors(t, dir)...), "files are left open")
			left, err := os.ReadDir(temp)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}
