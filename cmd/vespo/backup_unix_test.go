//go:build unix

package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/remote"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// acknowledged is what a server has acknowledged.
type acknowledged struct {
	mu       sync.Mutex
	services map[string]int // prefix to module, -1 if removed; guarded by mu
	results  []string       // locations of stored requests; guarded by mu
}

func (a *acknowledged) copy() *acknowledged {
	a.mu.Lock()
	defer a.mu.Unlock()
	return &acknowledged{services: maps.Clone(a.services), results: slices.Clone(a.results)}
}

// TestCopyOfAStoppedProcess copies the data directory of a server whose process is stopped for the time of the copy, as
// docs/recipes/backup.md says, while services change and requests are stored. A server on the copy has all that was
// acknowledged before.
func TestCopyOfAStoppedProcess(t *testing.T) {
	const rounds, writers, ackedPerRound = 3, 2, 8
	data, modules := t.TempDir(), [][]byte{guests.Wat(t, "hello"), guests.Wat(t, "echo")}
	p, c := launch(t, data, "--worker-listen=127.0.0.1:0")
	addQueue(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := &acknowledged{services: map[string]int{}}
	progress := make(chan struct{})
	var all sync.WaitGroup
	for writer := range writers {
		all.Go(func() {
			defer cancel()
			keepChanging(ctx, t, c, fmt.Sprintf("/w%d/s", writer), modules, done, progress)
		})
	}
	copies, contents := []string{}, []*acknowledged{}
	for range rounds {
		for range ackedPerRound {
			select {
			case <-progress:
			case <-ctx.Done():
				require.FailNow(t, "the server does not accept changes", p.stderr)
			}
		}
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGSTOP))
		contents = append(contents, done.copy())
		copies = append(copies, filepath.Join(t.TempDir(), "copy"))
		require.NoError(t, os.CopyFS(copies[len(copies)-1], os.DirFS(data)))
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGCONT))
	}
	cancel()
	all.Wait()
	for i, dir := range copies {
		p, c := launch(t, dir, "--worker-listen=127.0.0.1:0")
		requireServed(t, p, c, contents[i].services, modules)
		require.NotEmpty(t, contents[i].results)
		for _, location := range contents[i].results {
			resp, err := http.Get(c.Base() + location)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusAccepted, resp.StatusCode, "the request is not in the copy")
		}
		p.kill()
	}
}

// keepChanging adds, replaces and removes services, and stores requests, until ctx ends or something fails. It sends to
// progress after each change.
func keepChanging(ctx context.Context, t *testing.T, c *remote.Client, name string, modules [][]byte, done *acknowledged, progress chan<- struct{}) {
	for i := 0; ctx.Err() == nil; i++ {
		prefix, module := name+fmt.Sprint(i%5), i%3-1
		done.mu.Lock()
		delete(done.services, prefix) // unknown until the response arrives
		done.mu.Unlock()
		if !change(t, c, prefix, module, modules) {
			t.Errorf("a change of %s failed", prefix)
			return
		}
		location := store(t, c.Base()+"/jobs/x?async=1")
		done.mu.Lock()
		done.services[prefix] = module
		done.results = append(done.results, location)
		done.mu.Unlock()
		select {
		case progress <- struct{}{}:
		case <-ctx.Done():
		}
	}
}

// store sends a request that is stored, and returns the location of its result; "" if it was not accepted.
func store(t *testing.T, url string) string {
	resp, err := http.Post(url, "text/plain", strings.NewReader("job"))
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		t.Errorf("status %d", resp.StatusCode)
	}
	return resp.Header.Get("Location")
}
