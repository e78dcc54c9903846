package etcdstore

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdtest"
)

// TestOneTokenForManyRequests refuses the token of many requests at the same time, as a restart of etcd does. One new token is
// asked for, also by a request whose refusal comes late.
func TestOneTokenForManyRequests(t *testing.T) {
	const requests = 32
	server := etcdtest.Start(t)
	enableAuth(t, server.Client(t), "vespo", "se-cret", "/many")
	cfg, err := Parse("etcd://vespo@" + server.Address + "/many")
	require.NoError(t, err)
	var asked atomic.Int64
	tokens, err := cfg.dial(grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, in, out any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
		if strings.HasSuffix(method, "/Authenticate") {
			asked.Add(1)
		}
		return invoke(ctx, method, in, out, conn, options...)
	}))
	require.NoError(t, err)
	defer tokens.Close()
	user := &login{user: "vespo", password: "se-cret", anonymous: tokens, timeout: patience}
	client, err := cfg.dial(user.dialOptions()...)
	require.NoError(t, err)
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err = client.Get(ctx, "/many/key")
	require.NoError(t, err)
	require.EqualValues(t, 1, asked.Load())

	user.mu.Lock()
	lost := "lost.1"
	user.token = lost
	user.mu.Unlock()
	var running sync.WaitGroup
	for range requests {
		running.Go(func() {
			_, err := client.Get(ctx, "/many/key")
			assert.NoError(t, err)
		})
	}
	running.Wait()
	require.EqualValues(t, 2, asked.Load())
	require.NotEqual(t, lost, user.known())

	// A request whose caller has left does not end the question of others.
	user.mu.Lock()
	user.token = ""
	user.mu.Unlock()
	gone, leave := context.WithCancel(ctx)
	leave()
	_, _ = user.current(gone) // the answer can be faster
	require.Eventually(t, func() bool { return user.known() != "" }, patience, 10*time.Millisecond)
}
