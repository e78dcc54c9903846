package filestore

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// plainManifest encodes a whole state by encoding/json.
func plainManifest(t *testing.T, s *registry.State) string {
	t.Helper()
	catalogue := catalogueV4{Generation: uint64(s.Generation), Services: []serviceV4{}}
	for _, service := range s.Sorted() {
		stored, err := fromService(service)
		require.NoError(t, err)
		catalogue.Services = append(catalogue.Services, stored)
	}
	var err error
	catalogue.Records, err = fromRecords(s.Records)
	require.NoError(t, err)
	body, err := json.Marshal(catalogue)
	require.NoError(t, err)
	out, err := json.MarshalIndent(envelope{
		Format:    manifestFormat,
		Version:   manifestVersion,
		SHA256:    checksum(body),
		Catalogue: body,
	}, "", " ")
	require.NoError(t, err)
	return string(out) + "\n"
}

// changed returns a successor of s with a random change.
func changed(t *testing.T, r *rand.Rand, s *registry.State) *registry.State {
	t.Helper()
	next := &registry.State{Generation: s.Generation + 1, Services: maps.Clone(s.Services), Records: maps.Clone(s.Records)}
	keys := []string{"/a", "/a/b", "/a-b", "/b Host: x", "/b Host: y", "/b Host: <&>", "/c"}
	key := routekey.MustParse(keys[r.IntN(len(keys))])
	switch r.IntN(6) {
	case 0:
		delete(next.Services, key)
	case 1:
		service, ok := next.Services[key]
		if ok {
			service.Mirror = registry.Mirror{Number: service.Current.Number, Weight: r.IntN(10_000), Headers: []string{"A"}}
			next.Services[key] = service
		}
	case 2:
		next.Records = map[string]registry.Record{}
		for n := range r.IntN(3) {
			next.Records[fmt.Sprint("r", n)] = registry.Record{Kind: "k", Manifest: registry.Manifest(fmt.Sprintf(`{"n":%d}`, r.IntN(5)))}
		}
	default:
		version := registry.Version{
			Kind:       "wasm",
			Manifest:   registry.Manifest(fmt.Sprintf(`{"env":{"A":"<%d>"},"n":[1.50,{}]}`, r.IntN(20))),
			Generation: next.Generation,
			Deployed:   time.Unix(r.Int64N(1<<32), r.Int64N(1e9)),
			Note:       registry.Note{Message: "a \u2028 note & more"},
			Blobs:      []registry.Blob{{Field: "module", Digest: registry.DigestOf([]byte{byte(r.IntN(3))}), SizeBytes: 1}},
		}
		next.Services[key] = next.Services[key].With(key, version)
	}
	return next
}

// TestTheEncoderKeepsNothingOld compares manifests that are encoded by their changes with whole ones.
func TestTheEncoderKeepsNothingOld(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		var e encoder
		s := &registry.State{Services: map[routekey.Key]registry.Service{}}
		for range 60 {
			got, err := e.manifest(s)
			require.NoError(t, err)
			require.Equal(t, plainManifest(t, s), string(got))
			whole, err := encodeManifest(s)
			require.NoError(t, err)
			require.Equal(t, string(got), string(whole))
			catalogue, err := encodeCatalogue(s)
			require.NoError(t, err)
			require.Contains(t, string(got), checksum(catalogue))
			if s.Check() == nil {
				decoded, _, err := decodeManifest(got, noBlob)
				require.NoError(t, err)
				require.Len(t, decoded.Services, len(s.Services))
			}
			before := s
			for range 1 + r.IntN(2) { // a state between may be refused, and never encoded
				s = changed(t, r, s)
			}
			if r.IntN(8) == 0 {
				s = before
			}
		}
	}
}

// BenchmarkCommit measures the change of one service among many.
func BenchmarkCommit(b *testing.B) {
	s := &registry.State{Services: map[routekey.Key]registry.Service{}}
	put := func(i, n int) {
		s, _ = s.Put(routekey.MustParse(fmt.Sprintf("/s/%d", i)), registry.Version{
			Kind:     "redirect",
			Manifest: registry.Manifest(fmt.Sprintf(`{"redirect":"https://example.com/%d"}`, n)),
			Deployed: time.Unix(0, 0),
		})
	}
	for i := range 10_000 {
		if i < 10 {
			put(i, 0)
			continue
		}
		key := routekey.MustParse(fmt.Sprintf("/s/%d", i))
		service := s.Services[routekey.MustParse("/s/0")]
		service.Key = key
		s.Services[key] = service
	}
	var e encoder
	_, err := e.manifest(s)
	require.NoError(b, err)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		put(n%10_000, n)
		b.StartTimer()
		if _, err := e.manifest(s); err != nil {
			b.Fatal(err)
		}
	}
}
