package deploy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
)

// TestEndOfACanaryIsLoggedOnce checks that deploys after a canary do not log its outcome as theirs.
func TestEndOfACanaryIsLoggedOnce(t *testing.T) {
	running := registry.Service{Canary: registry.Canary{Number: 2, Against: 1, State: registry.CanaryRunning, Ends: time.Unix(60, 0)}}
	ended := running
	ended.Canary = running.Canary.End(registry.CanaryPromoted, "why", time.Unix(60, 0))
	later := ended
	later.Current.Number = 3
	require.Equal(t, []any{"canary", registry.CanaryRunning, "canary_version", registry.Number(2)}, trafficLog(registry.Service{}, running)[:4])
	require.Equal(t, []any{"canary", registry.CanaryPromoted, "canary_version", registry.Number(2), "canary_reason", "why"}, trafficLog(running, ended))
	require.Empty(t, trafficLog(ended, later))
	require.NotEmpty(t, trafficLog(ended, running), "another one begins")
}
