package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/kinds/redirect"
)

// BenchmarkDeploy measures the change of one service in a complete server with many others.
func BenchmarkDeploy(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			cfg, err := parse(b, "--data", b.TempDir(), "--slots=4")
			require.NoError(b, err)
			ctx, cancel := context.WithCancel(b.Context())
			s := newServer(ctx, cfg, stdio.Streams{Err: io.Discard}, slog.New(slog.DiscardHandler))
			require.NoError(b, s.open(ctx))
			defer func() { cancel(); require.NoError(b, s.close()) }()
			require.NoError(b, s.load(ctx))
			require.NoError(b, s.startServices(ctx, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}))
			spec := func(i, target int) services.Spec {
				doc, err := json.Marshal(redirect.Document{Target: fmt.Sprintf("https://example.com/%d", target)})
				require.NoError(b, err)
				return services.Spec{Key: routekey.MustParse(fmt.Sprintf("/s/%d", i)), Kind: "redirect", Manifest: registry.Manifest(doc)}
			}
			all := make([]services.Spec, n)
			for i := range all {
				all[i] = spec(i, 0)
			}
			_, err = s.core.deployer.Apply(ctx, all)
			require.NoError(b, err)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				_, err := s.core.deployer.Add(ctx, spec(i%n, i))
				require.NoError(b, err)
			}
		})
	}
}
