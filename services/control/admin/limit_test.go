package admin_test

import (
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/observe/journal"
)

// Tokens for a part of the services hold no places that administrators need, and one token leaves some to the others.
func TestTokensShareThePlaces(t *testing.T) {
	j, err := journal.Open(journal.Config{Dir: t.TempDir(), ServiceBytes: 1 << 20, TotalBytes: 1 << 20, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	g := startGuarded(t, setup{admin: admin.Config{Logs: j, MaxLogReaders: 8}}, "")
	t.Cleanup(func() {
		j.StopFollowers()
		require.NoError(t, j.Close())
	})
	one, two := g.create("one", "deploy:/a/*"), g.create("two", "read")
	follow := func(token string) *http.Response {
		r := g.request(http.MethodGet, "/services/logs?follow=true", "", nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	for _, s := range []struct {
		token string
		most  int
	}{{one, 4}, {two, 2}, {"", 2}} {
		for range s.most {
			require.Equal(t, http.StatusOK, follow(s.token).StatusCode)
		}
		require.Equal(t, http.StatusServiceUnavailable, follow(s.token).StatusCode)
	}
}
