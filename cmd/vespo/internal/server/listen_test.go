package server

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/egress/outbound"
)

func TestPercent(t *testing.T) {
	for text, want := range map[string]percent{"50%": 50, "50": 50, "1%": 1, "100%": 100} {
		var p percent
		require.NoError(t, p.UnmarshalText([]byte(text)))
		require.Equal(t, want, p)
	}
	for _, text := range []string{"", "%", "half", "0.5", "50 %"} {
		require.Error(t, new(percent).UnmarshalText([]byte(text)), text)
	}
	require.Equal(t, 32, percent(50).of(64))
	require.Equal(t, 1, percent(50).of(1))
}

func TestConnectionsFitTheDescriptors(t *testing.T) {
	for _, c := range []struct {
		limit  uint64
		lambda string
		want   int
	}{{limit: 1 << 20, want: 4096}, {limit: 5464, want: 4096}, {limit: 1024, want: 768}, {limit: 1024, lambda: ":9000", want: 384}, {limit: 1, want: 1}} {
		var said bytes.Buffer
		cfg := &Config{MaxConnections: 4096, LambdaListen: c.lambda}
		cfg.fitConnections(c.limit, slog.New(slog.NewTextHandler(&said, nil)))
		require.Equal(t, c.want, cfg.MaxConnections)
		require.Equal(t, c.want == 4096, said.Len() == 0)
	}
	require.Equal(t, 128, loadedModules(1024, true))
	require.Equal(t, 1, loadedModules(1, true))
	require.Equal(t, mostLoaded, loadedModules(1<<30, true))
	require.Equal(t, mostLoaded, loadedModules(0, false))
	require.Equal(t, 64, keptConnections(1024, true))
	require.Equal(t, 1, keptConnections(1, true))
	require.Equal(t, outbound.DefaultConnections, keptConnections(1<<30, true))
	require.Equal(t, outbound.DefaultConnections, keptConnections(0, false))
	limit, ok := descriptorLimit()
	require.True(t, ok)
	require.Positive(t, limit)
}
