package plan_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/plan"
)

// TestRecord plans changes of records, alone and beside services.
func TestRecord(t *testing.T) {
	appended := func(text string) plan.Record {
		return plan.Record{
			Name: "k/x",
			Edit: func(r registry.Record) (registry.Record, error) {
				if r.Manifest == "" {
					r.Manifest = `{}`
				}
				r.Kind += text
				return r, nil
			},
		}
	}
	base := plan.Base{State: &registry.State{}, Now: now}
	p, err := plan.Make(base, []plan.Change{appended("a"), plan.Put{Key: routekey.MustParse("/p"), Version: version("1")}})
	require.NoError(t, err)
	require.Equal(t, "a", p.Next.Records["k/x"].Kind)
	require.Contains(t, p.Next.Services, routekey.MustParse("/p"))
	require.EqualValues(t, 2, p.Next.Generation)
	require.Empty(t, base.State.Records)

	base.State = p.Next
	alone, err := plan.Make(base, []plan.Change{appended("b")})
	require.NoError(t, err)
	require.Equal(t, "ab", alone.Next.Records["k/x"].Kind)
	require.Empty(t, alone.Prepare)
	require.Empty(t, alone.Touched)
	same, err := plan.Make(base, []plan.Change{plan.Record{Name: "k/x", Edit: func(r registry.Record) (registry.Record, error) { return r, nil }}})
	require.NoError(t, err)
	require.Same(t, base.State, same.Next)

	refused := errors.New("no")
	_, err = plan.Make(base, []plan.Change{
		appended("c"),
		appended("twice"),
		plan.Record{Name: "k/y", Edit: func(r registry.Record) (registry.Record, error) { return r, refused }},
		plan.Record{Name: "k/z", Edit: func(registry.Record) (registry.Record, error) { return registry.Record{Kind: "k"}, nil }},
	})
	var refusal plan.Refusal
	require.ErrorAs(t, err, &refusal)
	require.Len(t, refusal, 3)
	for i, want := range []error{plan.ErrRepeated, refused, registry.ErrRecord} {
		require.ErrorIs(t, refusal[i].Err, want)
		require.Equal(t, "record", refusal[i].Field)
	}
}

func TestRequire(t *testing.T) {
	s, _ := (&registry.State{}).Put(routekey.MustParse("/a"), version("1"))
	base := plan.Base{State: s, Now: now}
	p, err := plan.Make(base, []plan.Change{plan.Require{Key: routekey.MustParse("/a")}, plan.Remove{Key: routekey.MustParse("/a")}})
	require.NoError(t, err, "the base counts")
	require.Empty(t, p.Next.Services)
	p, err = plan.Make(base, []plan.Change{plan.Require{Key: routekey.MustParse("/a")}})
	require.NoError(t, err)
	require.Same(t, s, p.Next)
	_, err = plan.Make(base, []plan.Change{plan.Require{Key: routekey.MustParse("/b")}, plan.Remove{Key: routekey.MustParse("/a")}})
	require.ErrorIs(t, err, registry.ErrNotFound)
}
