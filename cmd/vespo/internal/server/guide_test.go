package server

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/linestest"
	"github.com/vespo-dev/vespo/services/kinds/redirect"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// On a terminal, an empty server shows the next step, with the flags that its user needs.
func TestGuide(t *testing.T) {
	cfg, err := parse(t, "--listen=127.0.0.1:0", "--slots=2", "--memory=1MiB", "--data="+t.TempDir(), "--admin-token=secret")
	require.NoError(t, err)
	said := linestest.New()
	ctx, cancel := context.WithCancel(t.Context())
	s := openedServer(t, ctx, cfg, said)
	s.interactive = true
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	require.True(t, said.Await(ctx, func(text string) bool { return strings.Contains(text, "vespo help ") }))
	addr := s.surfaces[0].listener.Addr()
	require.Regexp(t, `cd hello && vespo deploy --server http://`+addr.String()+` --token TOKEN +#`, said.String())
	require.NotContains(t, said.String(), "secret")

	guide := func(interactive bool, addr net.Addr) string {
		var b strings.Builder
		again := &server{cfg: cfg, core: s.core, interactive: interactive}
		again.guide(&b, addr)
		return b.String()
	}
	require.Empty(t, guide(false, addr), "a log is for other readers")
	without := *cfg
	without.AdminToken = ""
	cfg = &without // the server reads its own
	usual := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}
	require.Regexp(t, `vespo deploy +#`, guide(true, usual))
	require.Contains(t, guide(true, &net.TCPAddr{IP: net.IPv4zero, Port: 8080}), "set --admin-token")
	_, err = s.core.deployer.Add(ctx, servicetest.Spec(redirect.KindName, "/old", redirect.Document{Target: "https://example.com/"}))
	require.NoError(t, err)
	require.Empty(t, guide(true, addr))
	cancel()
	require.NoError(t, <-ended)
}
