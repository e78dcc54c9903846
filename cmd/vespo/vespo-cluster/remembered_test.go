package main

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdtest"
	"github.com/vespo-dev/vespo/registry"
)

func (h *host) moduleFile(module []byte) string {
	return filepath.Join(h.data(), "blobs", "sha256", registry.DigestOf(module).Hex())
}

// loses removes a module and all compiled code from the disk of a host that is not running.
func (h *host) loses(module []byte) {
	h.t.Helper()
	require.NoError(h.t, os.Remove(h.moduleFile(module)))
	require.NoError(h.t, os.RemoveAll(filepath.Join(h.data(), "cache")))
}

// TestModulesOfRememberedHosts starts a host that lacks a module, without etcd, and then with an etcd in which the leases of the
// other hosts have ended. One that it remembers is gone, another one has the module.
func TestModulesOfRememberedHosts(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	proxy := enginetest.StartProxy(t, server.Address)
	const lease = "?lease=2s"
	behind := "etcd://" + proxy.Address + "/remembered" + lease
	a, gone, b := newHost(t, behind), newHost(t, behind), newHost(t, server.URL("remembered")+lease)
	for _, h := range []*host{a, gone, b} {
		h.start()
	}
	module := guest(t, "hello")
	status, answer := a.post("/services/add", url.Values{"prefix": {"hello"}}, module)
	require.Equal(t, http.StatusCreated, status, answer)
	for _, h := range []*host{gone, b} {
		h.eventually(func() bool { return h.body("/hello") == "hello from vespo" })
	}
	b.knows(2)
	b.eventually(func() bool { return b.remembers() == 2 })
	gone.kill()
	serves := func() bool { return b.body("/hello") == "hello from vespo" }

	server.Kill(t)
	b.kill()
	b.loses(module)
	b.start()
	b.eventually(serves)

	proxy.DropReplies(true)
	proxy.Cut()
	server.Run(t)
	for range 2 { // the file of hosts is written anew meanwhile
		b.eventually(func() bool {
			return b.storeState().State == "current" && strings.Count(b.body("/services/hosts"), `"address"`) == 1
		})
		b.kill()
		b.loses(module)
		b.start()
		b.eventually(serves)
	}
	proxy.DropReplies(false)
	b.knows(1)
}

// remembers returns the number of hosts in the file of a host.
func (h *host) remembers() (count int) {
	require.NoError(h.t, filepath.WalkDir(h.data(), func(path string, _ os.DirEntry, err error) error {
		if filepath.Base(path) == "host.json" {
			text, err := os.ReadFile(path)
			require.NoError(h.t, err)
			count = strings.Count(string(text), `"address"`)
		}
		return err
	}))
	return count
}
