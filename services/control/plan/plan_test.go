package plan_test

import (
	"encoding/json"
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

func version(text string) registry.Version {
	return registry.Version{
		Kind:     "wasm",
		Manifest: registry.EmptyManifest,
		Blobs: []registry.Blob{{
			Field:     "module",
			Digest:    registry.DigestOf([]byte(text)),
			SizeBytes: int64(len(text)),
		}},
	}
}

var now = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

// entry is a version in the model. Versions with the same text have the same content.
type entry struct {
	text string
	file bool
}

// model is a simple model of a catalogue: the versions of each service, the current one first.
type model map[routekey.Key][]entry

func (m model) put(p routekey.Key, e entry) {
	list := slices.DeleteFunc(slices.Clone(m[p]), func(have entry) bool { return have.text == e.text })
	list = append([]entry{e}, list...)
	m[p] = list[:min(len(list), 1+registry.MaxHistory)]
}

func (m model) clone() model {
	c := model{}
	for key, list := range m {
		c[key] = slices.Clone(list)
	}
	return c
}

// random makes lists of changes, and knows the texts of versions by their digests.
type random struct {
	*rand.Rand
	texts map[registry.Digest]string
}

func newRandom(seed uint64) *random {
	r := &random{Rand: rand.New(rand.NewPCG(seed, 0)), texts: make(map[registry.Digest]string)}
	for i := range 20 {
		r.texts[registry.DigestOf([]byte(fmt.Sprint(i)))] = fmt.Sprint(i)
	}
	return r
}

func (r *random) key() routekey.Key { return routekey.MustParse(fmt.Sprintf("/%d", r.IntN(8))) }

func (r *random) change(s *registry.State) plan.Change {
	key, v := r.key(), version(fmt.Sprint(r.IntN(20)))
	switch r.IntN(12) {
	case 0:
		return plan.Remove{Key: key}
	case 1, 2:
		return plan.Rollback{Key: key}
	case 3:
		if history := s.Services[key].History; len(history) > 0 {
			return plan.Rollback{Key: key, Generation: history[r.IntN(len(history))].Generation}
		}
		return plan.Rollback{Key: key, Generation: 1 + registry.Generation(r.IntN(20))}
	case 4, 5, 6:
		if service, ok := s.Services[key]; ok && r.IntN(2) == 0 {
			v = version(r.texts[service.Current.Blobs[0].Digest]) // as it is
		}
		return plan.Declare{Key: key, Version: v}
	case 7:
		return plan.Prune{}
	}
	return plan.Put{Key: key, Version: v}
}

func (r *random) changes(s *registry.State) (list []plan.Change) {
	for range 1 + r.IntN(4) {
		list = append(list, r.change(s))
	}
	return list
}

func (r *random) base(s *registry.State) plan.Base {
	b := plan.Base{State: s, FileRules: r.IntN(2) == 0, Failed: make(map[routekey.Key]bool), Now: now}
	if r.IntN(3) == 0 {
		b.Failed[r.key()] = true
	}
	return b
}

func keyOf(c plan.Change) routekey.Key {
	switch c := c.(type) {
	case plan.Put:
		return c.Key
	case plan.Rollback:
		return c.Key
	case plan.Remove:
		return c.Key
	case plan.Declare:
		return c.Key
	}
	return routekey.Key{}
}

// expect carries out changes in the model. It returns "INDEX FIELD" of each violation instead, if there are any.
func (r *random) expect(m model, b plan.Base, changes []plan.Change) (next model, violations []string) {
	next = m.clone()
	named, seen := map[routekey.Key]bool{}, map[routekey.Key]bool{}
	for _, c := range changes {
		named[keyOf(c)] = true
	}
	for i, c := range changes {
		key := keyOf(c)
		refuse := func(field string) { violations = append(violations, fmt.Sprint(i, " ", field)) }
		list := m[key]
		owned := b.FileRules && len(list) > 0 && list[0].file
		_, prunes := c.(plan.Prune)
		d, declares := c.(plan.Declare)
		switch {
		case prunes:
			for other, list := range m {
				if list[0].file && !named[other] {
					delete(next, other)
				}
			}
			continue
		case seen[key], owned && !declares:
			refuse("prefix")
		case declares:
			if text := r.texts[d.Version.Blobs[0].Digest]; len(list) == 0 || list[0] != (entry{text, true}) || b.Failed[key] {
				next.put(key, entry{text, true})
			}
		default:
			if field := r.expectOne(next, b.State, c); field != "" {
				refuse(field)
			}
		}
		seen[key] = true
	}
	return next, violations
}

// expectOne carries out a change that concerns the model's current state alone. It returns the field of the
// violation, if any.
func (r *random) expectOne(m model, s *registry.State, c plan.Change) (field string) {
	key := keyOf(c)
	list := m[key]
	switch c := c.(type) {
	case plan.Put:
		m.put(key, entry{r.texts[c.Version.Blobs[0].Digest], false})
	case plan.Remove:
		if len(list) == 0 {
			return "prefix"
		}
		delete(m, key)
	case plan.Rollback:
		at := slices.IndexFunc(s.Services[key].History, func(v registry.Version) bool {
			return c.Generation == 0 || v.Generation == c.Generation
		})
		switch {
		case len(list) == 0:
			return "prefix"
		case at < 0:
			return "generation"
		}
		m.put(key, entry{list[at+1].text, false})
	}
	return ""
}

func (r *random) requireLike(t *testing.T, m model, s *registry.State) {
	t.Helper()
	require.NoError(t, s.Check())
	require.Len(t, s.Services, len(m))
	for key, list := range m {
		service := s.Services[key]
		var got []entry
		for _, v := range append([]registry.Version{service.Current}, service.History...) {
			got = append(got, entry{r.texts[v.Blobs[0].Digest], v.Origin == registry.OriginFile})
		}
		require.Equal(t, list, got, key)
	}
}

func asText(t *testing.T, s *registry.State) string {
	t.Helper()
	text, err := json.Marshal(s)
	require.NoError(t, err)
	return string(text)
}

// TestPlansAgainstModel plans random lists of changes on the outcome of the lists before, and compares each plan
// with the model.
func TestPlansAgainstModel(t *testing.T) {
	for seed := range uint64(20) {
		r := newRandom(seed)
		s, m := &registry.State{}, model{}
		for range 80 {
			b, changes, before := r.base(s), r.changes(s), asText(t, s)
			next, violations := r.expect(m, b, changes)
			p, err := plan.Make(b, changes)
			require.Equal(t, before, asText(t, s), "the base has changed")
			if len(violations) > 0 {
				requireViolations(t, violations, err)
				require.Nil(t, p.Next)
				continue
			}
			require.NoError(t, err)
			r.requireLike(t, next, p.Next)
			requireDifference(t, p)
			s, m = p.Next, next
		}
	}
}

func requireViolations(t *testing.T, want []string, err error) {
	t.Helper()
	var refusal plan.Refusal
	require.ErrorAs(t, err, &refusal)
	var got []string
	for _, v := range refusal {
		got = append(got, fmt.Sprint(v.Change, " ", v.Field))
		require.Error(t, v.Err)
	}
	require.Equal(t, want, got)
}

// requireDifference checks that the steps are exactly the difference of the states.
func requireDifference(t *testing.T, p *plan.Plan) {
	t.Helper()
	changed := map[routekey.Key]bool{}
	for _, step := range p.Prepare {
		key := step.Service.Key
		changed[key] = true
		require.Equal(t, p.Next.Services[key], step.Service)
		require.Equal(t, p.Base.Services[key].Current, step.Before)
		_, existed := p.Base.Services[key]
		require.Equal(t, !existed, step.Created)
		require.Equal(t, now, step.Service.Current.Deployed)
	}
	for _, key := range p.Remove {
		changed[key] = true
		require.Contains(t, p.Base.Services, key)
		require.NotContains(t, p.Next.Services, key)
	}
	require.Len(t, p.Touched, len(changed), "nothing else is touched")
	for key, service := range p.Base.Services {
		if !changed[key] {
			require.Equal(t, service, p.Next.Services[key])
		}
	}
	require.Equal(t, p.Base.Generation+registry.Generation(len(changed)), p.Next.Generation, "one generation for each change")
	if len(changed) == 0 {
		require.Same(t, p.Base, p.Next)
	}
}

// TestOneByOneIsAtOnce plans lists at once, one by one and in another order.
func TestOneByOneIsAtOnce(t *testing.T) {
	for seed := range uint64(20) {
		r := newRandom(seed)
		s := &registry.State{}
		for range 80 {
			b := r.base(s)
			changes := slices.DeleteFunc(r.changes(s), func(c plan.Change) bool { _, prunes := c.(plan.Prune); return prunes })
			atOnce, err := plan.Make(b, changes)
			if err != nil {
				continue
			}
			one := b
			for _, c := range changes {
				p, err := plan.Make(one, []plan.Change{c})
				require.NoError(t, err)
				one.State = p.Next
			}
			require.Equal(t, asText(t, atOnce.Next), asText(t, one.State))

			shuffled := slices.Clone(changes)
			r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			other, err := plan.Make(b, shuffled)
			require.NoError(t, err)
			require.Equal(t, timeless(t, atOnce.Next), timeless(t, other.Next))
			s = atOnce.Next
		}
	}
}

// timeless returns a state as text, without the generations of this list of changes.
func timeless(t *testing.T, s *registry.State) string {
	t.Helper()
	next := &registry.State{Services: map[routekey.Key]registry.Service{}}
	for key, service := range s.Services {
		service.Current.Generation = 0
		next.Services[key] = service
	}
	return asText(t, next)
}

// A declaration deploys unless it is served already.
func TestDeclareDeploysDifferences(t *testing.T) {
	declared := version("one")
	declared.Origin = registry.OriginFile
	s, _ := (&registry.State{}).Put(routekey.MustParse("/a"), declared)
	for name, c := range map[string]struct {
		base    plan.Base
		change  plan.Change
		deploys bool
	}{
		"served":        {plan.Base{State: s}, plan.Declare{Key: routekey.MustParse("/a"), Version: version("one")}, false},
		"failed":        {plan.Base{State: s, Failed: map[routekey.Key]bool{routekey.MustParse("/a"): true}}, plan.Declare{Key: routekey.MustParse("/a"), Version: version("one")}, true},
		"other failed":  {plan.Base{State: s, Failed: map[routekey.Key]bool{routekey.MustParse("/b"): true}}, plan.Declare{Key: routekey.MustParse("/a"), Version: version("one")}, false},
		"other content": {plan.Base{State: s}, plan.Declare{Key: routekey.MustParse("/a"), Version: version("two")}, true},
		"put":           {plan.Base{State: s}, plan.Put{Key: routekey.MustParse("/a"), Version: version("one")}, true},
	} {
		p, err := plan.Make(c.base, []plan.Change{c.change})
		require.NoError(t, err, name)
		require.Equal(t, c.deploys, len(p.Prepare) == 1, name)
		require.Equal(t, c.deploys, p.Next != s, name)
	}
}

// A plan on a state in which only other services have changed is equivalent.
func TestEquivalentPlans(t *testing.T) {
	s, _ := (&registry.State{}).Put(routekey.MustParse("/a"), version("one"))
	s, _ = s.Put(routekey.MustParse("/b"), version("one"))
	planned := func(s *registry.State, changes ...plan.Change) *plan.Plan {
		p, err := plan.Make(plan.Base{State: s, Now: now}, changes)
		require.NoError(t, err)
		return p
	}
	changes := []plan.Change{plan.Put{Key: routekey.MustParse("/a"), Version: version("two")}, plan.Remove{Key: routekey.MustParse("/b")}}
	p := planned(s, changes...)
	other, _ := s.Put(routekey.MustParse("/c"), version("three"))
	require.True(t, p.Equivalent(planned(other, changes...)))
	require.Equal(t, version("three").Blobs[0].Digest, planned(other, changes...).Next.Services[routekey.MustParse("/c")].Current.Blobs[0].Digest)
	own, _ := s.Put(routekey.MustParse("/a"), version("three"))
	require.False(t, p.Equivalent(planned(own, changes...)), "it would replace another version")
	require.False(t, p.Equivalent(planned(s, changes[0])))
	require.False(t, p.Equivalent(planned(s, plan.Put{Key: routekey.MustParse("/a"), Version: version("three")}, changes[1])))
}

// The services that a refused list concerns are known: they are claimed before it is planned again.
func TestARefusalNamesEveryService(t *testing.T) {
	s, _ := (&registry.State{}).Put(routekey.MustParse("/a"), version("one"))
	p, err := plan.Make(plan.Base{State: s, Now: now}, []plan.Change{
		plan.Remove{Key: routekey.MustParse("/none")},
		plan.Rollback{Key: routekey.MustParse("/a")},
		plan.Put{Key: routekey.MustParse("/b"), Version: version("one")},
		plan.Put{Key: routekey.MustParse("/b"), Version: version("two")},
	})
	require.ErrorIs(t, err, registry.ErrNotFound)
	require.ErrorIs(t, err, registry.ErrNoVersion)
	require.ErrorIs(t, err, plan.ErrRepeated)
	require.ErrorContains(t, err, `change 4: prefix: "/b" is declared more than once`)
	require.Equal(t, []routekey.Key{routekey.MustParse("/none"), routekey.MustParse("/a"), routekey.MustParse("/b")}, p.Touched)
}
