package admin_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/observe/journal"
)

// A token for some services sees in their logs no address of the host. Other tokens do.
func TestLogsOfOwnersNameNoHost(t *testing.T) {
	j, err := journal.Open(journal.Config{Dir: t.TempDir(), ServiceBytes: 1 << 20, TotalBytes: 1 << 20, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	g := startGuarded(t, setup{admin: admin.Config{Logs: j}}, "")
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	require.Equal(t, http.StatusCreated, g.add("a", "one").status)
	j.Of("/a")(&accesslog.Record{
		Service: "/a",
		Time:    time.Now(),
		Status:  502,
		Failed:  true,
		Result: accesslog.Result{
			Outcome: accesslog.OutcomeUnreachable,
			Err:     &net.OpError{Op: "dial", Addr: &net.IPAddr{IP: net.IPv4(10, 1, 2, 3)}, Err: errors.New("refused")},
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { j.Run(ctx, func() map[string]bool { return nil }) })
	cancel() // writes the last entries
	run.Wait()
	for _, scope := range []string{"deploy:/a/*", "read", "admin"} {
		r := g.request(http.MethodGet, "/services/logs?prefix=a", "", nil)
		r.Header.Set("Authorization", "Bearer "+g.create(strings.NewReplacer(":", "", "/", "", "*", "").Replace(scope), scope))
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Contains(t, string(body), `"outcome":"unreachable"`, scope)
		require.Equal(t, scope != "deploy:/a/*", strings.Contains(string(body), "10.1.2.3"), "%s: %s", scope, body)
	}
}
