package placement

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
)

func TestPlacementsSelectHosts(t *testing.T) {
	require.True(t, Of(`{"timeout":"1s"}`).IsZero())
	require.True(t, Of(`{"on":7}`).IsZero())
	p := Of(`{"on":["zone=a","gpu"],"replicas":2}`)
	require.Equal(t, Placement{On: []string{"zone=a", "gpu"}, Replicas: 2}, p)
	require.True(t, p.Fits([]string{"gpu", "x", "zone=a"}))
	require.False(t, p.Fits([]string{"gpu", "zone=b"}))
	require.False(t, p.Fits(nil))
	require.True(t, Placement{Replicas: 1}.Fits(nil))
}

func TestEqualButPlacement(t *testing.T) {
	a := registry.Manifest(`{"on":["gpu"],"timeout":"1s"}`)
	require.True(t, EqualBut(a, `{"timeout":"1s"}`))
	require.True(t, EqualBut(a, `{"replicas":2,"timeout":"1s"}`))
	require.False(t, EqualBut(a, `{"on":["gpu"]}`))
	require.False(t, EqualBut(a, `{"on":["gpu"],"timeout":"2s"}`))
	require.False(t, EqualBut(a, `{`))
}

func TestLabelsAreChecked(t *testing.T) {
	for _, label := range []string{"gpu", "zone=a", "example.com/zone=eu-1", "a:b", strings.Repeat("a", MaxLabelBytes)} {
		require.Empty(t, CheckLabels([]string{label}), label)
	}
	for _, label := range []string{"", "=a", "zone=", "a=b=c", "a b", "ä", "a,b", strings.Repeat("a", MaxLabelBytes+1)} {
		require.Len(t, CheckLabels([]string{label}), 1, label)
	}
	require.Len(t, CheckLabels([]string{"a", "a"}), 1)
	require.Len(t, CheckLabels(make([]string, MaxLabels+1)), 1)
	require.Len(t, Check(`{"on":["a b"],"replicas":1001}`), 2)
	require.Empty(t, Check(`{"on":["a"],"replicas":1000}`))
}

// If a host goes, only its places move.
func TestRankingIsStable(t *testing.T) {
	names := []string{"a:1", "b:1", "c:1", "d:1"}
	first := make(map[string]int)
	for i := range 1000 {
		service := fmt.Sprintf("/s%d", i)
		var all, rest []string
		for _, j := range Ranked(service, names) {
			all = append(all, names[j])
		}
		for _, j := range Ranked(service, names[:3]) {
			rest = append(rest, names[j])
		}
		first[all[0]]++
		var without []string
		for _, name := range all {
			if name != "d:1" {
				without = append(without, name)
			}
		}
		require.Equal(t, without, rest)
	}
	for _, name := range names {
		require.InDelta(t, 250, first[name], 75, name)
	}
}
