package filestore

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// randomStates returns states that follow each other.
func randomStates(t *testing.T, seed uint64) []*registry.State {
	r := rand.New(rand.NewPCG(seed, 0))
	s := &registry.State{Services: map[routekey.Key]registry.Service{}}
	all := []*registry.State{s}
	for range 60 {
		key := routekey.MustParse(fmt.Sprintf("/%d", r.IntN(6)))
		switch service, ok := s.Services[key]; {
		case ok && r.IntN(5) == 0:
			var err error
			s, err = s.Remove(key)
			require.NoError(t, err)
		case r.IntN(6) == 0:
			record := registry.Record{}
			if r.IntN(3) > 0 {
				record = registry.Record{Kind: "test", Manifest: registry.Manifest(fmt.Sprintf(`{"n":%d}`, r.IntN(99)))}
			}
			s = s.PutRecord(fmt.Sprintf("test/%d", r.IntN(3)), record)
		case ok && len(service.History) > 0 && r.IntN(3) == 0:
			next := &registry.State{Generation: s.Generation + 1, Services: map[routekey.Key]registry.Service{}, Records: s.Records}
			for k, v := range s.Services {
				next.Services[k] = v
			}
			service, err := service.WithSplit(registry.Split{Arms: []registry.Arm{
				{Number: service.Current.Number, Weight: 900},
				{Number: service.History[0].Number, Weight: 100},
			}}, next.Generation, time.Unix(int64(next.Generation), 0).UTC())
			require.NoError(t, err)
			next.Services[key] = service
			s = next
		default:
			s, _ = s.Put(key, registry.Version{
				Kind:     "wasm",
				Manifest: "{}",
				Blobs:    []registry.Blob{{Field: "module", Digest: registry.DigestOf(fmt.Appendf(nil, "%d", r.IntN(9))), SizeBytes: 1}},
				Deployed: time.Unix(int64(s.Generation), 5).UTC(),
			})
		}
		all = append(all, s)
	}
	return all
}

// TestTransferOfStates sends whole states and changes between any two of them.
func TestTransferOfStates(t *testing.T) {
	for seed := range uint64(5) {
		all := randomStates(t, seed)
		r := rand.New(rand.NewPCG(seed, 1))
		for range 60 {
			from, to := all[r.IntN(len(all))], all[r.IntN(len(all))]
			whole, err := Encode(to)
			require.NoError(t, err)
			got, err := Decode(whole, nil)
			require.NoError(t, err)
			require.Equal(t, to, got)
			change, err := EncodeChange(from, to)
			require.NoError(t, err)
			got, err = Decode(change, from)
			require.NoError(t, err)
			require.Equal(t, to, got)
			if from.Generation != 1 {
				_, err = Decode(change, all[1])
				require.ErrorIs(t, err, ErrOtherBase)
			}
			_, err = Decode(change, nil)
			require.ErrorIs(t, err, ErrOtherBase)
		}
	}
}

func TestTransferFindsDamage(t *testing.T) {
	all := randomStates(t, 1)
	from, to := all[20], all[40]
	whole, err := Encode(to)
	require.NoError(t, err)
	change, err := EncodeChange(from, to)
	require.NoError(t, err)
	for _, data := range [][]byte{whole, change} {
		r := rand.New(rand.NewPCG(1, 1))
		for range 300 {
			damaged := bytes.Clone(data)
			damaged[r.IntN(len(damaged))] ^= byte(1 << r.IntN(8))
			if got, err := Decode(damaged, from); err == nil {
				require.Equal(t, to, got, "the name of a field in another case")
			}
			_, err := Decode(data[:r.IntN(len(data))], from)
			require.ErrorIs(t, err, ErrDamaged)
		}
		_, err = Decode(bytes.Replace(data, []byte(`"version":4`), []byte(`"version":5`), 1), from)
		require.ErrorIs(t, err, ErrNewer)
		_, err = Decode(bytes.Replace(data, []byte(`"version":4`), []byte(`"version":1`), 1), from)
		require.ErrorIs(t, err, ErrDamaged)
	}
}
