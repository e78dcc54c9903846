package main

import (
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdtest"
)

// listenForPeers gives a host a fixed address for the others, which it returns.
func (h *host) listenForPeers() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(h.t, err)
	address := l.Addr().String()
	require.NoError(h.t, l.Close())
	h.args[slices.Index(h.args, "--peer-listen")+1] = address
	return address
}

// TestDrain drains a host by the other one. It is not ready until that is ended, also after a restart, without etcd, too. It
// serves all the while.
func TestDrain(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	url := server.URL("drain") + "?timeout=1s"
	a, b := newHost(t, url), newHost(t, url)
	address := a.listenForPeers()
	a.start()
	b.start()
	ready := func(h *host, want int) {
		t.Helper()
		h.eventually(func() bool { return h.status("/services/ready") == want })
	}
	status, answer := a.redirect("/a", "/1")
	require.Equal(t, http.StatusCreated, status, answer)
	b.eventually(func() bool { return b.seen("/a") == "/1" })
	ready(a, http.StatusOK)
	ready(b, http.StatusOK)

	out, err := b.vespo("", "hosts", "drain", "127.0.0.1:1")
	require.Error(t, err)
	require.Contains(t, out, `there is no host "127.0.0.1:1"`)
	out, err = b.vespo("", "hosts", "drain", address)
	require.NoError(t, err, out)
	require.Equal(t, address+" is being drained\n", out)
	ready(a, http.StatusServiceUnavailable)
	require.Equal(t, http.StatusOK, b.status("/services/ready"))
	require.Equal(t, "/1", a.seen("/a"))
	out, err = b.vespo("", "hosts")
	require.NoError(t, err, out)
	require.Regexp(t, address+` +draining .* 4 of 4 `, out)
	require.Regexp(t, ` up .* 4 of 4 `, out)
	out, err = b.vespo("", "audit")
	require.NoError(t, err, out)
	require.Contains(t, out, "hosts/drain")

	a.kill()
	a.start()
	ready(a, http.StatusServiceUnavailable)
	a.kill()
	server.Kill(t)
	a.start()
	require.Equal(t, http.StatusServiceUnavailable, a.status("/services/ready"))
	require.Equal(t, "/1", a.seen("/a"))
	out, err = b.vespo("", "hosts", "undrain", address)
	require.Error(t, err)
	require.Contains(t, out, "cannot be reached")

	server.Run(t)
	server.Wait(t)
	b.eventually(func() bool { _, err := b.vespo("", "hosts", "undrain", address); return err == nil })
	ready(a, http.StatusOK)
	out, err = a.vespo("", "hosts", "list")
	require.NoError(t, err, out)
	require.NotContains(t, out, "draining")
}

// TestDrainedHostsClaimNothing lets two hosts claim times of a schedule. The one that is drained gets none.
func TestDrainedHostsClaimNothing(t *testing.T) {
	server := etcdtest.Start(t)
	url := server.URL("claims")
	var nodes []*cluster.Node
	for _, address := range []string{"a:1", "b:1"} {
		n, err := cluster.NewNode(cluster.NodeConfig{Store: opened(t, url), Address: address, Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		nodes = append(nodes, n)
	}
	a, b := nodes[0], nodes[1]
	require.ErrorContains(t, b.Drain(t.Context(), "a:1", true), "there is no host")
	require.NoError(t, opened(t, url).Drain(t.Context(), "a:1", true))
	at := time.Date(2030, 1, 2, 3, 4, 0, 0, time.UTC)
	mine, err := a.Claim(t.Context(), "s", at)
	require.NoError(t, err)
	require.False(t, mine)
	mine, err = b.Claim(t.Context(), "s", at)
	require.NoError(t, err)
	require.True(t, mine, "the time was left for the other host")
	require.NoError(t, a.Drain(t.Context(), "a:1", false))
	mine, err = a.Claim(t.Context(), "s", at.Add(time.Minute))
	require.NoError(t, err)
	require.True(t, mine)
}

// TestDrainWaits waits for a host with a request that is stored and held by a worker, and one whose client waits. It fails
// while there is one of them, and names it.
func TestDrainWaits(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	a := newHost(t, server.URL("waits"))
	address := a.listenForPeers()
	a.start()
	a.addQueue("timeout", "1m")
	at, client := a.workersAt(), &http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	var held job
	status, text, _ := send(client, http.MethodPost, a.url+"/jobs", "stored", "Prefer: respond-async")
	require.Equal(t, http.StatusAccepted, status, text)
	a.eventually(func() (ok bool) { held, ok = take(client, at); return ok })

	out, err := a.vespo("", "hosts", "drain", address, "--wait", "2s")
	require.Error(t, err)
	require.Contains(t, out, address+" is not drained after 2s: ")
	a.eventually(func() bool {
		out, err = a.vespo("", "hosts", "drain", address, "--wait", "3s")
		return err != nil && strings.Contains(out, "requests: 0, leases of its queues: 1, events: 0")
	})
	require.Equal(t, http.StatusOK, answer(client, at, held, "done"))

	waited := make(chan int, 1)
	go func() {
		status, _, _ := send(client, http.MethodPost, a.url+"/jobs", "waits")
		waited <- status
	}()
	a.eventually(func() bool {
		out, err = a.vespo("", "hosts", "drain", address, "--wait", "3s")
		return err != nil && strings.Contains(out, "requests: 1, leases of its queues: 0, events: 0")
	})
	a.eventually(func() (ok bool) { held, ok = take(client, at); return ok })
	require.Equal(t, http.StatusOK, answer(client, at, held, "done"))
	require.Equal(t, http.StatusOK, <-waited)
	out, err = a.vespo("", "hosts", "drain", address, "--wait", "1m")
	require.NoError(t, err, out)
	require.Equal(t, address+" is being drained\n"+address+" has nothing in progress\n", out)
}

// TestCutOffHostsAreNotDrained stops a host that has announced that it has nothing in progress. It does not count as drained while its
// lease goes on, and does when it announces that again.
func TestCutOffHostsAreNotDrained(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	url := server.URL("cut") + "?lease=1m"
	a, b := newHost(t, url), newHost(t, url)
	address := a.listenForPeers()
	a.start()
	b.start()
	out, err := b.vespo("", "hosts", "drain", address)
	require.NoError(t, err, out)
	b.eventually(func() bool {
		return strings.Contains(b.body("/services/hosts"), `"work":{"requests":0,"leases":0,"events":0}`)
	})
	require.NoError(t, a.program.Process.Signal(syscall.SIGSTOP))
	out, err = b.vespo("", "hosts", "drain", address, "--wait", "8s")
	require.Error(t, err)
	require.Contains(t, out, "may be cut off from the store")
	require.NoError(t, a.program.Process.Signal(syscall.SIGCONT))
	out, err = b.vespo("", "hosts", "drain", address, "--wait", "1m")
	require.NoError(t, err, out)
}
