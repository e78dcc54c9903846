package registry_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// TestNumbersBelongToContents makes random deploys and rollbacks of one service, and removes it now and then. While it
// exists, a number is that of one content, and new contents are numbered without a gap.
func TestNumbersBelongToContents(t *testing.T) {
	key := routekey.MustParse("/a")
	for seed := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, 0))
		s := &registry.State{}
		given := map[registry.Number]registry.Digest{}
		for range 400 {
			before := s.Services[key]
			switch previous, err := s.Previous(key); {
			case random.IntN(100) == 0 && !before.Key.IsZero():
				s, _ = s.Remove(key)
				given = map[registry.Number]registry.Digest{}
				continue
			case random.IntN(3) == 0 && err == nil:
				s, _ = s.Put(key, previous)
			default:
				s, _ = s.Put(key, version(fmt.Sprint(random.IntN(300))))
			}
			require.NoError(t, s.Check())
			service := s.Services[key]
			content := service.Current.ContentDigest()
			if want, ok := given[service.Current.Number]; ok {
				require.Equal(t, want, content)
			} else {
				require.Equal(t, before.Last+1, service.Current.Number)
			}
			given[service.Current.Number] = content
			require.Len(t, given, int(service.Last))
			for _, v := range service.Versions() {
				found, ok := service.Numbered(v.Number)
				require.True(t, ok && found.Generation == v.Generation)
			}
		}
	}
}

// The history is dropped from its end when it is too large, but for the version before the current one.
func TestVersionsAreKeptWithinTheirBounds(t *testing.T) {
	key := routekey.MustParse("/a")
	put := func(s *registry.State, text string, sizeBytes int64, manifestBytes int) *registry.State {
		v := version(text)
		v.Blobs[0].SizeBytes = sizeBytes
		v.Manifest = registry.Manifest(fmt.Sprintf(`{"a":"%0*s"}`, manifestBytes, text))
		next, _ := s.Put(key, v)
		require.NoError(t, next.Check())
		return next
	}
	numbers := func(s *registry.State) (all []registry.Number) {
		for _, v := range s.Services[key].History {
			all = append(all, v.Number)
		}
		return all
	}
	const third = registry.MaxVersionBytes / 3
	s := &registry.State{}
	for _, text := range []string{"a", "b", "c"} {
		s = put(s, text, third, 0)
	}
	require.Equal(t, []registry.Number{2, 1}, numbers(s))
	s = put(s, "c", third, 2) // another version with the same blob, which counts once
	require.Equal(t, []registry.Number{3, 2, 1}, numbers(s))
	s = put(s, "d", 1<<20, 0)
	require.Equal(t, []registry.Number{4, 3, 2}, numbers(s), "the one that is current for the longest time ago")
	s = put(s, "e", registry.MaxVersionBytes, 0)
	require.Equal(t, []registry.Number{5}, numbers(s), "a rollback is always possible")

	s = &registry.State{}
	for _, text := range []string{"a", "b", "c"} {
		s = put(s, text, 1, registry.MaxManifestBytes/2)
	}
	require.Equal(t, []registry.Number{2}, numbers(s))
}
