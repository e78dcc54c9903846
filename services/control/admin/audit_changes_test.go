package admin

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/audit"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/control/identity"
	"github.com/vespo-dev/vespo/services/servicetest/allkinds"
)

// An entry has what a canary and a split did, and the server's own decision has a name and its reason.
func TestEntriesHaveTheTraffic(t *testing.T) {
	one := registry.Version{Kind: "wasm", Manifest: "{}", Number: 1}
	two := registry.Version{Kind: "wasm", Manifest: `{"timeout":"1s"}`, Number: 2}
	whole := registry.Service{Current: one, Last: 1}
	running := registry.Service{
		Current: one,
		History: []registry.Version{two},
		Last:    2,
		Split:   registry.Split{Arms: []registry.Arm{{Number: 1, Weight: 950}, {Number: 2, Weight: 50}}, Sticky: registry.Sticky{Cookie: "c"}},
		Canary:  registry.Canary{Number: 2, Against: 1, State: registry.CanaryRunning, Began: time.Unix(1, 0)},
	}
	back := running
	back.Split, back.Canary = registry.Split{}, running.Canary.End(registry.CanaryRolledBack, "errors: 9%", time.Unix(2, 0))
	mirrored := back
	mirrored.Mirror = registry.Mirror{Number: 2, Weight: 105}
	a := &Auditor{Kinds: allkinds.Describe()}
	for _, c := range []struct {
		before, after registry.Service
		want          []string
	}{
		{whole, running, []string{"timeout: default -> 1s", "traffic: 1=100% -> 1=95% 2=5%", "sticky: none -> cookie:c", "canary: version 2 running"}},
		{running, back, []string{"traffic: 1=95% 2=5% -> 1=100%", "sticky: cookie:c -> none", "canary: version 2 rolled back: errors: 9%"}},
		{back, mirrored, []string{"mirror: none -> 2=10.5%"}},
		{back, back, []string{}},
	} {
		require.Equal(t, c.want, a.changesOf(deploy.ServiceChange{Before: c.before, After: c.after}))
	}
	e := audit.Entry{Before: &audit.State{}, After: &audit.State{}, By: audit.By{Kind: identity.KindServer}}
	require.Equal(t, "canary", actionOf(e, deploy.ServiceChange{Before: running, After: back}))
	require.Equal(t, "replace", actionOf(e, deploy.ServiceChange{Before: whole, After: running}))
}
