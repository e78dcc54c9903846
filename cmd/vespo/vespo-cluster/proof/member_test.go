package proof

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/proof/mesh"
)

// member is a node of etcd.
type member struct {
	process
	address string // for clients of the test
	link    string // for hosts
}

// freePort returns an address of this machine that is free. Its port is none of those that connections and port 0 get, as
// a process that starts again needs the same one.
func freePort(t *testing.T) string {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 12000+rand.IntN(20000)))
		if err != nil {
			continue
		}
		require.NoError(t, l.Close())
		return l.Addr().String()
	}
	require.Fail(t, "no port is free")
	return ""
}

// startMembers starts three nodes of one etcd.
func startMembers(t *testing.T, network *mesh.Mesh) (all []*member) {
	t.Helper()
	path, err := exec.LookPath("etcd")
	if err != nil {
		t.Skip("etcd is missing: apt-get install etcd-server")
	}
	var cluster, peers, announced []string
	for i := range 3 {
		peer := freePort(t)
		link, err := network.Link(fmt.Sprintf("etcd%d", i), peer)
		require.NoError(t, err)
		peers, announced = append(peers, peer), append(announced, link)
		cluster = append(cluster, fmt.Sprintf("etcd%d=http://%s", i, link))
	}
	for i := range 3 {
		name := fmt.Sprintf("etcd%d", i)
		m := &member{address: freePort(t)}
		m.link, err = network.Link(name, m.address)
		require.NoError(t, err)
		m.process = process{t: t, name: name, path: path, env: []string{"ETCD_UNSUPPORTED_ARCH=arm64"}, ran: func(pid int) { network.Is(name, pid) }}
		m.args = []string{
			"--name", name, "--data-dir", t.TempDir(), "--log-level", "error", "--logger", "zap",
			"--listen-client-urls", "http://" + m.address, "--advertise-client-urls", "http://" + m.address,
			"--listen-peer-urls", "http://" + peers[i], "--initial-advertise-peer-urls", "http://" + announced[i],
			"--initial-cluster", strings.Join(cluster, ","),
		}
		m.run()
		t.Cleanup(m.kill)
		all = append(all, m)
	}
	return all
}

// dial returns a client of all members that no fault of the network affects.
func dial(t *testing.T, all []*member) *clientv3.Client {
	t.Helper()
	var addresses []string
	for _, m := range all {
		addresses = append(addresses, m.address)
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: addresses, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// healthy waits until every member has a leader and answers.
func healthy(t *testing.T, client *clientv3.Client, all []*member) {
	t.Helper()
	for _, m := range all {
		m.eventually("the member serves", func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			status, err := client.Status(ctx, m.address)
			return err == nil && status.Leader != 0
		})
	}
	require.True(t, within(patience, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := client.Get(ctx, "/")
		return err == nil
	}), "etcd answers")
}
