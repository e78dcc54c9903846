package enginetest

import (
	"net"
	"os/exec"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// Redis is a Redis in a directory of the test. It writes each change to its disk.
type Redis struct {
	Address string // host:port
	process process
}

// StartRedis starts Redis, and waits until it answers. options follow those of the test, such as "--maxmemory", "10mb".
func StartRedis(t testing.TB, options ...string) *Redis {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is missing: apt-get install redis-server")
	}
	host, port := freePort(t)
	args := append([]string{"--bind", host, "--port", port, "--dir", t.TempDir(), "--save", "", "--appendonly", "yes", "--appendfsync", "always"}, options...)
	r := &Redis{Address: net.JoinHostPort(host, port)}
	r.process.command = func() *exec.Cmd { return exec.Command(program, args...) }
	r.Run(t)
	t.Cleanup(r.Kill)
	return r
}

// Run starts the process again after Kill, and waits until it answers.
func (r *Redis) Run(t testing.TB) {
	t.Helper()
	r.process.run(t)
	r.process.await(t, func() error { return r.do(t, "PING").Err() })
}

// Kill ends the process without warning.
func (r *Redis) Kill() { r.process.kill() }

// Do runs a command, which must succeed.
func (r *Redis) Do(t testing.TB, command ...any) any {
	t.Helper()
	found, err := r.do(t, command...).Result()
	require.NoError(t, err)
	return found
}

func (r *Redis) do(t testing.TB, command ...any) *redis.Cmd {
	c := redis.NewClient(&redis.Options{Addr: r.Address, MaxRetries: -1, DialerRetries: 1})
	defer func() { _ = c.Close() }()
	return c.Do(t.Context(), command...)
}

// TLS makes the engine listen for TLS, and returns the address. options name the files.
func (r *Redis) TLS(t testing.TB, options ...string) (address string) {
	t.Helper()
	host, port := freePort(t)
	for i := 0; i < len(options); i += 2 {
		r.Do(t, "CONFIG", "SET", options[i][len("--"):], options[i+1])
	}
	r.Do(t, "CONFIG", "SET", "tls-port", port)
	return net.JoinHostPort(host, port)
}

// ReplicaOf makes the engine a replica of another one, and waits until it refuses writes.
func (r *Redis) ReplicaOf(t testing.TB, primary *Redis) {
	t.Helper()
	host, port, err := net.SplitHostPort(primary.Address)
	require.NoError(t, err)
	r.Do(t, "REPLICAOF", host, port)
}

// Pause stops the process until Resume.
func (r *Redis) Pause(t testing.TB) { r.process.signal(t, syscall.SIGSTOP) }

// Resume continues the process.
func (r *Redis) Resume(t testing.TB) { r.process.signal(t, syscall.SIGCONT) }
