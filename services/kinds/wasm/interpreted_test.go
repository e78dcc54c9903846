package wasm_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// compiledCodes waits until as many modules are compiled.
func (s *server) compiledCodes(n int64) {
	s.tb.Helper()
	require.Eventually(s.tb, func() bool { return s.kind.Stats().Codes >= int(n) }, time.Minute, 5*time.Millisecond)
}

// Clients ask all the time while versions are deployed, interpreted and compiled. No request fails, and once a deploy has
// ended, no answer is that of an older version.
func TestInterpretedFirst(t *testing.T) {
	s := newServer(t, wasm.Config{InterpretFirst: true, CacheDir: t.TempDir()})
	sdk := guests.SDK(t, "hello")
	versions := [][]byte{sdk, bytes.ReplaceAll(sdk, []byte("hello "), []byte("1ello ")), bytes.ReplaceAll(guests.Wat(t, "hello"), []byte("hello "), []byte("2ello "))}
	greetings := []string{"hello", "1ello", "2ello"}
	var deployed atomic.Int64
	var clients sync.WaitGroup
	stop := make(chan struct{})
	for i, m := range versions {
		s.add("/hello", m)
		answer := s.get("/hello/you")
		require.Equal(t, "200 OK", answer.Status)
		require.True(t, strings.HasPrefix(answer.Body, greetings[i]), answer.Body)
		deployed.Store(int64(i))
		if i == 0 {
			for range 3 {
				clients.Go(func() { s.askUntil(stop, greetings, &deployed) })
			}
		}
		s.compiledCodes(1)
		require.Equal(t, answer.Body, s.get("/hello/you").Body, "compiled code answers the same")
	}
	close(stop)
	clients.Wait()
	require.Zero(t, s.Status("/hello").Counts.Discarded)
	require.Empty(t, s.Status("/hello").Warnings)
}

// askUntil makes requests until stop is closed.
func (s *server) askUntil(stop <-chan struct{}, greetings []string, deployed *atomic.Int64) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		before := deployed.Load()
		answer := s.get("/hello/you")
		require.Equal(s.tb, "200 OK", answer.Status, answer.Body)
		version := slices.IndexFunc(greetings, func(g string) bool { return strings.HasPrefix(answer.Body, g) })
		require.GreaterOrEqual(s.tb, version, int(before), "a stale answer: %s", answer.Body)
	}
}

// A module that only the interpreter runs is served, with a warning for its owner.
func TestInterpretedOnly(t *testing.T) {
	command := filepath.Join(t.TempDir(), "compile")
	require.NoError(t, os.WriteFile(command, []byte("#!/bin/sh\nprintf 'is too odd'; exit 10\n"), 0o700))
	s := newServer(t, wasm.Config{InterpretFirst: true, CacheDir: t.TempDir(), CompileCommand: []string{command, "x"}})
	s.add("/hello", guests.Wat(t, "hello"))
	s.AwaitStatus("/hello", func(status services.Status) bool { return len(status.Warnings) > 0 })
	require.Contains(t, strings.Join(s.Status("/hello").Warnings, ""), "vespo serve would refuse it: is refused: is too odd")
	require.Equal(t, "200 OK", s.get("/hello/you").Status)
	require.Contains(t, s.Log.String(), "runs in the interpreter")
	require.Equal(t, 1, strings.Count(s.Log.String(), "runs in the interpreter"), fmt.Sprint(s.Log))
}
