package plan_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
type model map[registry.Prefix][]entry

func (m model) put(p registry.Prefix, e entry) {
	list := slices.DeleteFunc(slices.Clone(m[p]), func(have entry) bool { return have.text == e.text })
	list = append([]entry{e}, list...)
	m[p] = list[:min(len(list), 1+registry.MaxHistory)]
}

func (m model) clone() model {
	c := model{}
	for prefix, list := range m {
		c[prefix] = slices.Clone(list)
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

func (r *random) prefix() registry.Prefix { return registry.Prefix(fmt.Sprintf("/%d", r.IntN(8))) }

func (r *random) change(s *registry.State) plan.Change {
	prefix, v := r.prefix(), version(fmt.Sprint(r.IntN(20)))
	switch r.IntN(12) {
	case 0:
		return plan.Remove{Prefix: prefix}
	case 1, 2:
		return plan.Rollback{Prefix: prefix}
	case 3:
		if history := s.Services[prefix].History; len(history) > 0 {
			return plan.Rollback{Prefix: prefix, Generation: history[r.IntN(len(history))].Generation}
		}
		return plan.Rollback{Prefix: prefix, Generation: 1 + registry.Generation(r.IntN(20))}
	case 4, 5, 6:
		if service, ok := s.Services[prefix]; ok && r.IntN(2) == 0 {
			v = version(r.texts[service.Current.Blobs[0].Digest]) // as it is
		}
		return plan.Declare{Prefix: prefix, Version: v}
	case 7:
		return plan.Prune{}
	}
	return plan.Put{Prefix: prefix, Version: v}
}

func (r *random) changes(s *registry.State) (list []plan.Change) {
	for range 1 + r.IntN(4) {
		list = append(list, r.change(s))
	}
	return list
}

func (r *random) base(s *registry.State) plan.Base {
	b := plan.Base{State: s, FileRules: r.IntN(2) == 0, Failed: make(map[registry.Prefix]bool), Now: now}
	if r.IntN(3) == 0 {
		b.Failed[r.prefix()] = true
	}
	return b
}

func prefixOf(c plan.Change) registry.Prefix {
	switch c := c.(type) {
	case plan.Put:
		return c.Prefix
	case plan.Rollback:
		return c.Prefix
	case plan.Remove:
		return c.Prefix
	case plan.Declare:
		return c.Prefix
	}
	return ""
}

// expect carries out changes in the model. It returns "INDEX FIELD" of each violation instead, if there are any.
func (r *random) expect(m model, b plan.Base, changes []plan.Change) (next model, violations []string) {
	next = m.clone()
	named, seen := map[registry.Prefix]bool{}, map[registry.Prefix]bool{}
	for _, c := range changes {
		named[prefixOf(c)] = true
	}
	for i, c := range changes {
		prefix := prefixOf(c)
		refuse := func(field string) { violations = append(violations, fmt.Sprint(i, " ", field)) }
		list := m[prefix]
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
		case seen[prefix], owned && !declares:
			refuse("prefix")
		case declares:
			if text := r.texts[d.Version.Blobs[0].Digest]; len(list) == 0 || list[0] != (entry{text, true}) || b.Failed[prefix] {
				next.put(prefix, entry{text, true})
			}
		default:
			if field := r.expectOne(next, b.State, c); field != "" {
				refuse(field)
			}
		}
		seen[prefix] = true
	}
	return next, violations
}

// expectOne carries out a change that concerns the model's current state alone. It returns the field of the
// violation, if any.
func (r *random) expectOne(m model, s *registry.State, c plan.Change) (field string) {
	prefix := prefixOf(c)
	list := m[prefix]
	switch c := c.(type) {
	case plan.Put:
		m.put(prefix, entry{r.texts[c.Version.Blobs[0].Digest], false})
	case plan.Remove:
		if len(list) == 0 {
			return "prefix"
		}
		delete(m, prefix)
	case plan.Rollback:
		at := slices.IndexFunc(s.Services[prefix].History, func(v registry.Version) bool {
			return c.Generation == 0 || v.Generation == c.Generation
		})
		switch {
		case len(list) == 0:
			return "prefix"
		case at < 0:
			return "generation"
		}
		m.put(prefix, entry{list[at+1].text, false})
	}
	return ""
}

func (r *random) requireLike(t *testing.T, m model, s *registry.State) {
	t.Helper()
	require.NoError(t, s.Check())
	require.Len(t, s.Services, len(m))
	for prefix, list := range m {
		service := s.Services[prefix]
		var got []entry
		for _, v := range append([]registry.Version{service.Current}, service.History...) {
			got = append(got, entry{r.texts[v.Blobs[0].Digest], v.Origin == registry.OriginFile})
		}
		require.Equal(t, list, got, prefix)
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
	changed := map[registry.Prefix]bool{}
	for _, step := range p.Prepare {
		prefix := step.Service.Prefix
		changed[prefix] = true
		require.Equal(t, p.Next.Services[prefix], step.Service)
		require.Equal(t, p.Base.Services[prefix].Current, step.Before)
		_, existed := p.Base.Services[prefix]
		require.Equal(t, !existed, step.Created)
		require.Equal(t, now, step.Service.Current.Deployed)
	}
	for _, prefix := range p.Remove {
		changed[prefix] = true
		require.Contains(t, p.Base.Services, prefix)
		require.NotContains(t, p.Next.Services, prefix)
	}
	require.Len(t, p.Touched, len(changed), "nothing else is touched")
	for prefix, service := range p.Base.Services {
		if !changed[prefix] {
			require.Equal(t, service, p.Next.Services[prefix])
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
	next := &registry.State{Services: map[registry.Prefix]registry.Service{}}
	for prefix, service := range s.Services {
		service.Current.Generation = 0
		next.Services[prefix] = service
	}
	return asText(t, next)
}

// A declaration deploys unless it is served already.
func TestDeclareDeploysDifferences(t *testing.T) {
	declared := version("one")
	declared.Origin = registry.OriginFile
	s, _ := (&registry.State{}).Put("/a", declared)
	for name, c := range map[string]struct {
		base    plan.Base
		change  plan.Change
		deploys bool
	}{
		"served":        {plan.Base{State: s}, plan.Declare{Prefix: "/a", Version: version("one")}, false},
		"failed":        {plan.Base{State: s, Failed: map[registry.Prefix]bool{"/a": true}}, plan.Declare{Prefix: "/a", Version: version("one")}, true},
		"other failed":  {plan.Base{State: s, Failed: map[registry.Prefix]bool{"/b": true}}, plan.Declare{Prefix: "/a", Version: version("one")}, false},
		"other content": {plan.Base{State: s}, plan.Declare{Prefix: "/a", Version: version("two")}, true},
		"put":           {plan.Base{State: s}, plan.Put{Prefix: "/a", Version: version("one")}, true},
	} {
		p, err := plan.Make(c.base, []plan.Change{c.change})
		require.NoError(t, err, name)
		require.Equal(t, c.deploys, len(p.Prepare) == 1, name)
		require.Equal(t, c.deploys, p.Next != s, name)
	}
}

// A plan on a state in which only other services have changed is equivalent.
func TestEquivalentPlans(t *testing.T) {
	s, _ := (&registry.State{}).Put("/a", version("one"))
	s, _ = s.Put("/b", version("one"))
	planned := func(s *registry.State, changes ...plan.Change) *plan.Plan {
		p, err := plan.Make(plan.Base{State: s, Now: now}, changes)
		require.NoError(t, err)
		return p
	}
	changes := []plan.Change{plan.Put{Prefix: "/a", Version: version("two")}, plan.Remove{Prefix: "/b"}}
	p := planned(s, changes...)
	other, _ := s.Put("/c", version("three"))
	require.True(t, p.Equivalent(planned(other, changes...)))
	require.Equal(t, version("three").Blobs[0].Digest, planned(other, changes...).Next.Services["/c"].Current.Blobs[0].Digest)
	own, _ := s.Put("/a", version("three"))
	require.False(t, p.Equivalent(planned(own, changes...)), "it would replace another version")
	require.False(t, p.Equivalent(planned(s, changes[0])))
	require.False(t, p.Equivalent(planned(s, plan.Put{Prefix: "/a", Version: version("three")}, changes[1])))
}

// The services that a refused list concerns are known: they are claimed before it is planned again.
func TestARefusalNamesEveryService(t *testing.T) {
	s, _ := (&registry.State{}).Put("/a", version("one"))
	p, err := plan.Make(plan.Base{State: s, Now: now}, []plan.Change{
		plan.Remove{Prefix: "/none"},
		plan.Rollback{Prefix: "/a"},
		plan.Put{Prefix: "/b", Version: version("one")},
		plan.Put{Prefix: "/b", Version: version("two")},
	})
	require.ErrorIs(t, err, registry.ErrNotFound)
	require.ErrorIs(t, err, registry.ErrNoVersion)
	require.ErrorIs(t, err, plan.ErrRepeated)
	require.ErrorContains(t, err, `change 4: prefix: "/b" is declared more than once`)
	require.Equal(t, []registry.Prefix{"/none", "/a", "/b"}, p.Touched)
}
