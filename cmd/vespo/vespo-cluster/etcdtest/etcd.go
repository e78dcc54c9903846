// Package etcdtest runs etcd as a process, for tests. They are skipped on machines without it.
package etcdtest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Server is an etcd with one member, in a directory of the test.
type Server struct {
	Address string // host:port for clients
	args    []string
	program string
	process *exec.Cmd
	output  *bytes.Buffer
}

// Start starts etcd and waits until it answers. It ends with the test.
func Start(t testing.TB, options ...string) *Server {
	t.Helper()
	program, err := exec.LookPath("etcd")
	if err != nil {
		t.Skip("etcd is missing: apt-get install etcd-server")
	}
	client, peer := freePort(t), freePort(t)
	s := &Server{Address: client, program: program}
	scheme := "http://"
	if len(options) > 0 {
		scheme = "https://"
	}
	s.args = append([]string{
		"--name", "test",
		"--data-dir", filepath.Join(t.TempDir(), "etcd"),
		"--listen-client-urls", scheme + client,
		"--advertise-client-urls", scheme + client,
		"--listen-peer-urls", "http://" + peer,
		"--initial-advertise-peer-urls", "http://" + peer,
		"--initial-cluster", "test=http://" + peer,
		"--log-level", "error",
	}, options...)
	s.Run(t)
	t.Cleanup(func() { s.Kill(t) })
	if scheme == "http://" {
		s.Wait(t)
	}
	return s
}

// Run starts the process again after Kill. It does not wait.
func (s *Server) Run(t testing.TB) {
	t.Helper()
	s.output = new(bytes.Buffer)
	s.process = exec.Command(s.program, s.args...)
	s.process.Env = append(os.Environ(), "ETCD_UNSUPPORTED_ARCH=arm64")
	s.process.Stdout, s.process.Stderr = s.output, s.output
	require.NoError(t, s.process.Start())
}

// Wait waits until the server answers.
func (s *Server) Wait(t testing.TB) {
	t.Helper()
	client := s.Client(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		attempt, end := context.WithTimeout(ctx, time.Second)
		_, err := client.Get(attempt, "/")
		end()
		if err == nil {
			return
		}
		require.NoError(t, ctx.Err(), "etcd does not answer: %v\n%s", err, s.output)
	}
}

// Client returns a client, which is closed at the end of the test.
func (s *Server) Client(t testing.TB) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"http://" + s.Address}, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// URL returns a store's URL with a prefix.
func (s *Server) URL(prefix string) string { return fmt.Sprintf("etcd://%s/%s", s.Address, prefix) }

// Kill ends the process without warning.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	if s.process == nil {
		return
	}
	_ = s.process.Process.Kill()
	_ = s.process.Wait() // killed
	s.process = nil
}

// Pause stops the process until Resume.
func (s *Server) Pause(t testing.TB) {
	t.Helper()
	require.NoError(t, s.process.Process.Signal(syscall.SIGSTOP))
}

// Resume continues the process after Pause.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	require.NoError(t, s.process.Process.Signal(syscall.SIGCONT))
}

// freePort returns an address of this machine that was free.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	return l.Addr().String()
}
