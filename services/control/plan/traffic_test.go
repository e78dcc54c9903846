package plan_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/plan"
)

var key = routekey.MustParse("/a")

// shares is a model of one service: the weight of each version, the current version, and the version on trial.
type shares struct {
	weights map[registry.Number]int
	current registry.Number
	trial   registry.Number
}

func (m *shares) all(n registry.Number) {
	*m = shares{weights: map[registry.Number]int{n: registry.Whole}, current: n}
}

// trafficChange returns a random change of a service, and carries it out in the model. It reports false if the change is to be
// refused.
func trafficChange(r *rand.Rand, s registry.Service, m *shares) (c plan.Change, ok bool) {
	text := fmt.Sprint(r.IntN(12))
	numberOf := func(text string) registry.Number {
		for _, v := range s.Versions() {
			if !s.Key.IsZero() && v.SameContent(version(text)) {
				return v.Number
			}
		}
		return s.Last + 1
	}
	switch n := numberOf(text); r.IntN(6) {
	case 0:
		m.all(n)
		return plan.Put{Key: key, Version: version(text)}, true
	case 1, 2:
		rollout := plan.Rollout{Weight: 1 + r.IntN(registry.Whole-1), For: time.Duration(r.IntN(2)) * time.Minute}
		switch {
		case s.Key.IsZero() || n == m.current:
			m.all(n)
		default:
			current := m.current
			*m = shares{weights: map[registry.Number]int{current: registry.Whole - rollout.Weight, n: rollout.Weight}, current: current}
			if rollout.For > 0 {
				m.trial = n
			}
		}
		return plan.Put{Key: key, Version: version(text), Rollout: rollout}, true
	case 3:
		promote := r.IntN(2) == 0
		c := plan.Conclude{Key: key, Number: s.Canary.Number, Began: s.Canary.Began, Promote: promote, Reason: "why"}
		if m.trial == 0 {
			return c, false
		}
		winner := m.current
		if promote {
			winner = m.trial
		}
		m.all(winner)
		return c, true
	case 4:
		return splitChange(r, s, m)
	}
	if s.Key.IsZero() {
		return plan.Rollback{Key: key}, false
	}
	for n := range m.weights {
		if v, _ := s.Numbered(n); v.Staged {
			m.all(m.current)
			return plan.Rollback{Key: key}, true
		}
	}
	i := slices.IndexFunc(s.History, func(v registry.Version) bool { return !v.Staged })
	if i < 0 {
		return plan.Rollback{Key: key}, false
	}
	m.all(s.History[i].Number)
	return plan.Rollback{Key: key}, true
}

// splitChange divides the requests among random versions, of which one may be unknown.
func splitChange(r *rand.Rand, s registry.Service, m *shares) (plan.Change, bool) {
	c := plan.Split{Key: key}
	left, known := registry.Whole, true
	taken := map[registry.Number]bool{}
	for i := range 1 + r.IntN(3) {
		n := 1 + registry.Number(r.IntN(int(s.Last)+1))
		if taken[n] {
			continue
		}
		taken[n] = true
		weight := 1 + r.IntN(300)
		if i == 0 {
			weight = 0
		}
		left -= weight
		c.Split.Arms = append(c.Split.Arms, registry.Arm{Number: n, Weight: weight})
		_, ok := s.Numbered(n)
		known = known && ok && !s.Key.IsZero()
	}
	c.Split.Arms[0].Weight = left
	if !known {
		return c, false
	}
	current, largest := m.current, slices.MaxFunc(c.Split.Arms, func(a, b registry.Arm) int {
		if a.Weight != b.Weight {
			return a.Weight - b.Weight
		}
		return int(b.Number) - int(a.Number)
	}).Number
	*m = shares{weights: map[registry.Number]int{}, current: current}
	for _, arm := range c.Split.Arms {
		m.weights[arm.Number] = arm.Weight
	}
	if m.weights[current] == 0 {
		m.current = largest
	}
	return c, true
}

// TestTrafficAgainstModel makes random deploys, canaries, splits and rollbacks of one service, and compares the shares of its
// versions with a model. Versions that serve and are not deployed again are not prepared again.
func TestTrafficAgainstModel(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		s, m := &registry.State{}, &shares{}
		for range 200 {
			before := s.Services[key]
			next := &shares{weights: m.weights, current: m.current, trial: m.trial}
			change, ok := trafficChange(r, before, next)
			p, err := plan.Make(plan.Base{State: s, Now: now}, []plan.Change{change})
			if !ok {
				require.Error(t, err, "%+v", change)
				continue
			}
			require.NoError(t, err, "%+v", change)
			require.NoError(t, p.Next.Check())
			require.Equal(t, s.Generation+1, p.Next.Generation)
			service := p.Next.Services[key]
			require.Equal(t, next.current, service.Current.Number, "%+v", change)
			got := map[registry.Number]int{}
			for _, n := range service.Live() {
				got[n] = service.Weight(n)
			}
			require.Equal(t, next.weights, got, "%+v", change)
			require.Equal(t, next.trial != 0, service.Canary.Running())
			for _, n := range p.Prepare[0].Fresh {
				require.Contains(t, service.Live(), n)
			}
			if _, puts := change.(plan.Put); !puts && !before.Key.IsZero() {
				if _, rolls := change.(plan.Rollback); !rolls {
					for _, n := range before.Live() {
						require.NotContains(t, p.Prepare[0].Fresh, n, "it serves already")
					}
				}
			}
			s, m = p.Next, next
		}
	}
}

// A file that is applied again does not begin a trial again, and does not repeat one that has failed.
func TestDeclaredTrialsAreIdempotent(t *testing.T) {
	rollout := plan.Rollout{Weight: 100, For: time.Minute}
	apply := func(s *registry.State, text string, r plan.Rollout) *registry.State {
		p, err := plan.Make(plan.Base{State: s, Now: now, FileRules: true}, []plan.Change{plan.Declare{Key: key, Version: version(text), Rollout: r}})
		require.NoError(t, err)
		return p.Next
	}
	conclude := func(s *registry.State, promote bool) *registry.State {
		c := s.Services[key].Canary
		p, err := plan.Make(plan.Base{State: s, Now: now, FileRules: true}, []plan.Change{plan.Conclude{Key: key, Number: c.Number, Began: c.Began, Promote: promote}})
		require.NoError(t, err)
		return p.Next
	}
	first := apply(&registry.State{}, "one", rollout)
	require.Equal(t, registry.Whole, first.Services[key].Weight(1), "there is nothing to compare with")
	running := apply(first, "two", rollout)
	require.Equal(t, 100, running.Services[key].Weight(2))
	require.Same(t, running, apply(running, "two", rollout))
	failed := conclude(running, false)
	require.Same(t, failed, apply(failed, "two", rollout))
	require.Equal(t, registry.Number(2), apply(failed, "two", plan.Rollout{}).Services[key].Current.Number, "without the trial, it is deployed")
	promoted := conclude(running, true)
	require.Equal(t, registry.Number(2), promoted.Services[key].Current.Number)
	require.Same(t, promoted, apply(promoted, "two", rollout))
	share := apply(first, "two", plan.Rollout{Weight: 200})
	require.Same(t, share, apply(share, "two", plan.Rollout{Weight: 200}))
	require.Equal(t, 300, apply(share, "two", plan.Rollout{Weight: 300}).Services[key].Weight(2))
}
