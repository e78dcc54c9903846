package main

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/bench/internal/peer"
)

// allTasks returns the tasks whose handlers are in Go, and hello.
func allTasks(t *testing.T) (all []*task) {
	for _, tasks := range [][]task{echoTasks(), jsonTasks(), htmlTasks(), markdownTasks(), resizeTasks(), sieveTasks(), neaTasks()} {
		for _, one := range tasks {
			made, err := newTask(one)
			require.NoError(t, err, one.title)
			all = append(all, made)
		}
	}
	return append(all, helloTask())
}

// sameAnswer makes the request of a task, whose answer has to be that of the handler in Go.
func sameAnswer(t *testing.T, addr string, one *task) {
	t.Helper()
	c, err := one.dial(addr, 1)
	require.NoError(t, err)
	defer c.Close()
	c.Patience(time.Minute)
	for range 2 {
		status, answer, err := c.Get()
		require.NoError(t, err, one.title)
		require.Equal(t, 200, status, one.title)
		require.True(t, answer == one.answer, "%s: %.200q instead of %.200q", one.title, answer, one.answer)
	}
}

// TestScripts compares the answers of the handlers in JavaScript with those in Go.
func TestScripts(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("NOT TRIED: there is no node")
	}
	b := &bench{config: &config{}, dir: t.TempDir()}
	s, err := b.startNodeHandlers(t.Context(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.stop()) })
	for _, one := range allTasks(t) {
		if slices.Contains(one.rivals, rivalNode) {
			sameAnswer(t, s.addr, one)
		}
	}
	cpu, err := s.cpu()
	require.NoError(t, err)
	own, err := cpuTime(s.cmd.Process.Pid)
	require.NoError(t, err)
	require.Greater(t, cpu, own) // the workers are processes of their own
}

// TestFast compares the answers of fasthttp's handlers with those for net/http.
func TestFast(t *testing.T) {
	self, err := os.Executable() // this program is a peer, too
	require.NoError(t, err)
	b := &bench{config: &config{}, self: self}
	for _, one := range allTasks(t) {
		if !slices.Contains(one.rivals, rivalFast) {
			continue
		}
		s, err := b.startPeer(t.Context(), peer.Fast, one.service)
		require.NoError(t, err)
		sameAnswer(t, s.addr, one)
		require.NoError(t, s.stop())
	}
}
