package registry_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
)

func version(text string) registry.Version {
	return registry.Version{Digest: registry.DigestOf([]byte(text)), SizeBytes: int64(len(text)), Kind: "wasm"}
}

// model is a simple model of a catalogue: the contents of a service are a list, the most recently current one
// first.
type model map[registry.Prefix][]string

func (m model) put(p registry.Prefix, text string) {
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
	prefix := registry.Prefix(fmt.Sprintf("/%d", rng.IntN(3)))
	generation := s.Generation
	next := s
	switch choice := rng.IntN(10); {
	case choice == 0:
		removed, err := s.Remove(prefix)
		if _, there := m[prefix]; !there {
			require.ErrorIs(t, err, registry.ErrNotFound)
			return s
		}
		require.NoError(t, err)
		delete(m, prefix)
		next = removed
	case choice <= 3:
		previous, err := s.Previous(prefix)
		switch len(m[prefix]) {
		case 0:
			require.ErrorIs(t, err, registry.ErrNotFound)
			return s
		case 1:
			require.ErrorIs(t, err, registry.ErrNoVersion)
			return s
		}
		require.NoError(t, err)
		m.put(prefix, m[prefix][1])
		next, _ = s.Put(prefix, previous)
	default:
		text := fmt.Sprint(rng.IntN(20))
		m.put(prefix, text)
		var service registry.Service
		next, service = s.Put(prefix, version(text))
		require.Equal(t, next.Services[prefix], service)
		require.Equal(t, next.Generation, service.Current.Generation)
	}
	require.Equal(t, generation+1, next.Generation)
	return next
}

func requireLike(t *testing.T, m model, s *registry.State) {
	require.Len(t, s.Services, len(m))
	named := make(map[registry.Digest]struct{})
	for prefix, texts := range m {
		service := s.Services[prefix]
		require.Equal(t, prefix, service.Prefix)
		got := append([]registry.Version{service.Current}, service.History...)
		require.Len(t, got, len(texts))
		for i, text := range texts {
			require.True(t, got[i].SameContent(version(text)))
			named[got[i].Digest] = struct{}{}
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
	s, _ := (&registry.State{}).Put("/a", version("one"))
	s, _ = s.Put("/a", version("two"))
	for _, want := range []string{"one", "two", "one"} {
		previous, err := s.Previous("/a")
		require.NoError(t, err)
		s, _ = s.Put("/a", previous)
		require.True(t, s.Services["/a"].Current.SameContent(version(want)))
		require.Len(t, s.Services["/a"].History, 1)
	}
}

func TestAtFindsWhatTheHistoryHolds(t *testing.T) {
	s, _ := (&registry.State{}).Put("/a", version("one"))
	s, _ = s.Put("/b", version("other"))
	s, _ = s.Put("/a", version("two"))
	v, err := s.At("/a", 1)
	require.NoError(t, err)
	require.True(t, v.SameContent(version("one")))
	for _, absent := range []registry.Generation{0, 2, 3, 4} {
		_, err = s.At("/a", absent)
		require.ErrorIs(t, err, registry.ErrNoVersion)
	}
	_, err = s.At("/c", 1)
	require.ErrorIs(t, err, registry.ErrNotFound)
}

func TestSameContentLooksAtWhatIsServed(t *testing.T) {
	v := version("one")
	later := v
	later.Generation, later.Deployed = 7, time.Now()
	require.True(t, v.SameContent(later))
	for _, change := range []func(*registry.Version){
		func(v *registry.Version) { v.Digest = registry.DigestOf(nil) },
		func(v *registry.Version) { v.Kind = "static" },
		func(v *registry.Version) { v.Options.MemoryBytes = 1 },
		func(v *registry.Version) { v.Options.Timeout = 1 },
		func(v *registry.Version) { v.Options.Isolation = "fresh" },
		func(v *registry.Version) { v.Options.Use = []registry.Digest{registry.DigestOf(nil)} },
		func(v *registry.Version) { v.Options.UseConfig = map[string]string{"a": "b"} },
	} {
		other := v
		change(&other)
		require.False(t, v.SameContent(other))
	}
}

func TestSortedIsInOrderOfPrefixes(t *testing.T) {
	s := &registry.State{}
	for _, p := range []registry.Prefix{"/b", "/", "/a/c", "/a"} {
		s, _ = s.Put(p, version(string(p)))
	}
	var got []registry.Prefix
	for _, service := range s.Sorted() {
		got = append(got, service.Prefix)
	}
	require.Equal(t, []registry.Prefix{"/", "/a", "/a/c", "/b"}, got)
}

func TestCheckFindsBrokenRules(t *testing.T) {
	for name, damage := range map[string]func(*registry.Service){
		"other prefix":        func(s *registry.Service) { s.Prefix = "/b" },
		"history too long":    func(s *registry.Service) { s.History = make([]registry.Version, registry.MaxHistory+1) },
		"same content":        func(s *registry.Service) { s.History[0].Digest = s.Current.Digest },
		"newer in history":    func(s *registry.Service) { s.History[0].Generation, s.Current.Generation = 2, 1 },
		"generation zero":     func(s *registry.Service) { s.History[0].Generation = 0 },
		"generation of later": func(s *registry.Service) { s.Current.Generation = 3 },
		"digest":              func(s *registry.Service) { s.History[0].Digest = "sha256:0" },
		"middleware":          func(s *registry.Service) { s.History[0].Options.Use = []registry.Digest{"md5:0"} },
		"kind":                func(s *registry.Service) { s.Current.Kind = "" },
		"size":                func(s *registry.Service) { s.Current.SizeBytes = -1 },
		"memory":              func(s *registry.Service) { s.Current.Options.MemoryBytes = -1 },
		"timeout":             func(s *registry.Service) { s.Current.Options.Timeout = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := (&registry.State{}).Put("/a", version("one"))
			s, service := s.Put("/a", version("two"))
			require.NoError(t, s.Check())
			damage(&service)
			s.Services["/a"] = service
			require.ErrorIs(t, s.Check(), registry.ErrInvalidState)
		})
	}
}

// Middleware modules are part of a version like its own module: they are kept while a version refers to them,
// even one in a history.
func TestDigestsOfMiddleware(t *testing.T) {
	first, second := version("one"), version("two")
	first.Options.Use = []registry.Digest{registry.DigestOf([]byte("a")), registry.DigestOf([]byte("b"))}
	second.Options.Use = []registry.Digest{registry.DigestOf([]byte("b"))}
	s, _ := (&registry.State{}).Put("/a", first)
	s, _ = s.Put("/a", second)
	named := s.Digests()
	require.Len(t, named, 4)
	for _, digest := range []registry.Digest{first.Digest, second.Digest, first.Options.Use[0], first.Options.Use[1]} {
		require.Contains(t, named, digest)
	}
}
