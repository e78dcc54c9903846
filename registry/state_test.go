package registry_test

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
)

// module returns the blobs of a version with the module text.
func module(text string) []registry.Blob {
	return []registry.Blob{{Field: "module", Digest: registry.DigestOf([]byte(text)), SizeBytes: int64(len(text))}}
}

func version(text string) registry.Version {
	return registry.Version{Kind: "wasm", Manifest: registry.EmptyManifest, Blobs: module(text)}
}

// model is a simple model of a catalogue: the contents of a service are a list, the most recently current one
// first.
type model map[routekey.Key][]string

func (m model) put(p routekey.Key, text string) {
	list := slices.DeleteFunc(slices.Clone(m[p]), func(have string) bool { return have == text })
	list = append([]string{text}, list...)
	m[p] = list[:min(len(list), 1+registry.MaxHistory)]
}

// TestStateAgainstModel makes random changes to a state and to the model, and compares both after each.
func TestStateAgainstModel(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 0))
		s, m := &registry.State{}, model{}
		type kept struct {
			state *registry.State
			text  string
		}
		var before []kept
		for range 150 {
			before = append(before, kept{s, asText(t, s)})
			s = randomChange(t, rng, s, m)
			require.NoError(t, s.Check())
			requireLike(t, m, s)
		}
		for _, k := range before {
			require.Equal(t, k.text, asText(t, k.state), "a state that was published has changed")
		}
	}
}

// randomChange applies a random change to the model and returns s with the same change.
func randomChange(t *testing.T, rng *rand.Rand, s *registry.State, m model) *registry.State {
	key := routekey.MustParse(fmt.Sprintf("/%d", rng.IntN(3)))
	generation := s.Generation
	next := s
	switch choice := rng.IntN(10); {
	case choice == 0:
		removed, err := s.Remove(key)
		if _, there := m[key]; !there {
			require.ErrorIs(t, err, registry.ErrNotFound)
			return s
		}
		require.NoError(t, err)
		delete(m, key)
		next = removed
	case choice <= 3:
		previous, err := s.Previous(key)
		switch len(m[key]) {
		case 0:
			require.ErrorIs(t, err, registry.ErrNotFound)
			return s
		case 1:
			require.ErrorIs(t, err, registry.ErrNoVersion)
			return s
		}
		require.NoError(t, err)
		m.put(key, m[key][1])
		next, _ = s.Put(key, previous)
	default:
		text := fmt.Sprint(rng.IntN(20))
		m.put(key, text)
		var service registry.Service
		next, service = s.Put(key, version(text))
		require.Equal(t, next.Services[key], service)
		require.Equal(t, next.Generation, service.Current.Generation)
	}
	require.Equal(t, generation+1, next.Generation)
	return next
}

func requireLike(t *testing.T, m model, s *registry.State) {
	require.Len(t, s.Services, len(m))
	named := make(map[registry.Digest]struct{})
	for key, texts := range m {
		service := s.Services[key]
		require.Equal(t, key, service.Key)
		got := append([]registry.Version{service.Current}, service.History...)
		require.Len(t, got, len(texts))
		for i, text := range texts {
			require.True(t, got[i].SameContent(version(text)))
			named[got[i].Blobs[0].Digest] = struct{}{}
		}
	}
	require.Equal(t, named, s.Digests())
}

func asText(t *testing.T, s *registry.State) string {
	text, err := json.Marshal(s)
	require.NoError(t, err)
	return string(text)
}

func TestRollbackTwiceEndsWhereItBegan(t *testing.T) {
	s, _ := (&registry.State{}).Put(routekey.MustParse("/a"), version("one"))
	s, _ = s.Put(routekey.MustParse("/a"), version("two"))
	for _, want := range []string{"one", "two", "one"} {
		previous, err := s.Previous(routekey.MustParse("/a"))
		require.NoError(t, err)
		s, _ = s.Put(routekey.MustParse("/a"), previous)
		require.True(t, s.Services[routekey.MustParse("/a")].Current.SameContent(version(want)))
		require.Len(t, s.Services[routekey.MustParse("/a")].History, 1)
	}
}

func TestAtFindsWhatTheHistoryHolds(t *testing.T) {
	s, _ := (&registry.State{}).Put(routekey.MustParse("/a"), version("one"))
	s, _ = s.Put(routekey.MustParse("/b"), version("other"))
	s, _ = s.Put(routekey.MustParse("/a"), version("two"))
	v, err := s.At(routekey.MustParse("/a"), 1)
	require.NoError(t, err)
	require.True(t, v.SameContent(version("one")))
	for _, absent := range []registry.Generation{0, 2, 3, 4} {
		_, err = s.At(routekey.MustParse("/a"), absent)
		require.ErrorIs(t, err, registry.ErrNoVersion)
	}
	_, err = s.At(routekey.MustParse("/c"), 1)
	require.ErrorIs(t, err, registry.ErrNotFound)
}

func TestSameContentLooksAtWhatIsServed(t *testing.T) {
	v := version("one")
	later := v
	later.Generation, later.Deployed = 7, time.Now()
	require.True(t, v.SameContent(later))
	for _, change := range []func(*registry.Version){
		func(v *registry.Version) { v.Kind = "static" },
		func(v *registry.Version) { v.Manifest = `{"timeout":"1s"}` },
		func(v *registry.Version) { v.Blobs = nil },
		func(v *registry.Version) { v.Blobs = module("two") },
		func(v *registry.Version) { v.Blobs = append(module("one"), module("one")...) },
		func(v *registry.Version) { v.Blobs = module("one"); v.Blobs[0].Field = "use" },
	} {
		other := v
		change(&other)
		require.False(t, v.SameContent(other))
	}
}

func TestSortedIsInOrderOfPrefixes(t *testing.T) {
	s := &registry.State{}
	for _, p := range []routekey.Key{routekey.MustParse("/b"), routekey.MustParse("/"), routekey.MustParse("/a/c"), routekey.MustParse("/a")} {
		s, _ = s.Put(p, version(p.String()))
	}
	var got []routekey.Key
	for _, service := range s.Sorted() {
		got = append(got, service.Key)
	}
	require.Equal(t, []routekey.Key{routekey.MustParse("/"), routekey.MustParse("/a"), routekey.MustParse("/a/c"), routekey.MustParse("/b")}, got)
}

func TestCheckFindsBrokenRules(t *testing.T) {
	for name, damage := range map[string]func(*registry.Service){
		"other prefix": func(s *registry.Service) { s.Key = routekey.MustParse("/b") },
		"history too long": func(s *registry.Service) {
			s.History = make([]registry.Version, registry.MaxHistory+registry.MaxArms+1)
		},
		"same content":        func(s *registry.Service) { s.History[0].Blobs = s.Current.Blobs },
		"newer in history":    func(s *registry.Service) { s.History[0].Generation, s.Current.Generation = 2, 1 },
		"number zero":         func(s *registry.Service) { s.Current.Number = 0 },
		"number beyond last":  func(s *registry.Service) { s.Last = 1 },
		"number twice":        func(s *registry.Service) { s.History[0].Number = s.Current.Number },
		"generation zero":     func(s *registry.Service) { s.History[0].Generation = 0 },
		"generation of later": func(s *registry.Service) { s.Current.Generation = 3 },
		"digest":              func(s *registry.Service) { s.History[0].Blobs[0].Digest = "sha256:0" },
		"field":               func(s *registry.Service) { s.Current.Blobs[0].Field = "" },
		"kind":                func(s *registry.Service) { s.Current.Kind = "" },
		"size":                func(s *registry.Service) { s.Current.Blobs[0].SizeBytes = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := (&registry.State{}).Put(routekey.MustParse("/a"), version("one"))
			s, service := s.Put(routekey.MustParse("/a"), version("two"))
			require.NoError(t, s.Check())
			damage(&service)
			s.Services[routekey.MustParse("/a")] = service
			require.ErrorIs(t, s.Check(), registry.ErrInvalidState)
		})
	}
}

// All blobs of a version are kept while a version refers to them, even one in a history.
func TestDigestsOfAllBlobs(t *testing.T) {
	first, second := version("one"), version("two")
	first.Blobs = append(first.Blobs, module("a")[0], module("b")[0])
	second.Blobs = append(second.Blobs, module("b")[0])
	s, _ := (&registry.State{}).Put(routekey.MustParse("/a"), first)
	s, _ = s.Put(routekey.MustParse("/a"), second)
	named := s.Digests()
	require.Len(t, named, 4)
	for _, text := range []string{"one", "two", "a", "b"} {
		require.Contains(t, named, registry.DigestOf([]byte(text)))
	}
	require.Equal(t, int64(3+1+1), first.Size())
	require.Len(t, first.BlobsOf("module"), 3)
	require.Empty(t, first.BlobsOf("use"))
}
