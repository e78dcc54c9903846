package boltstore

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable/crashtest"
	"github.com/vespo-dev/vespo/services/kv"
)

func TestMain(m *testing.M) {
	os.Exit(crashtest.Main(m.Run, map[string]crashtest.Child{"writes": writes}))
}

// writes makes writes from several goroutines, and drops a store now and then. It acknowledges each counter.
func writes(dir string, acknowledge func(format string, args ...any)) error {
	s, err := Open(Config{Dir: dir})
	if err != nil {
		return err
	}
	ctx := context.Background()
	failed := make(chan error, 4)
	var mu sync.Mutex // lines are not torn by each other
	for worker := range 4 {
		go func() {
			name := "counter" + strconv.Itoa(worker)
			for n := 0; ; n++ {
				results, err := s.Write(ctx, "a", []kv.Change{
					{Op: kv.OpAdd, Key: name, Delta: 1},
					{Key: name + "/left", Value: bytes.Repeat([]byte{byte(n)}, 3000)},
					{Key: name + "/right", Value: bytes.Repeat([]byte{byte(n)}, 3000)},
				})
				if err == nil && n%10 == 9 {
					_, err = s.Write(ctx, "dropped", []kv.Change{{Key: "k", Value: make([]byte, 100)}})
					if err == nil && worker == 0 {
						err = s.Drop(ctx, "dropped")
					}
				}
				if err != nil {
					failed <- err
					return
				}
				mu.Lock()
				acknowledge("%s %d", name, results[0].Number)
				mu.Unlock()
			}
		}()
	}
	return <-failed
}

// TestKill kills a process that writes, and checks that the next one finds all that was acknowledged, and no write in part.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	least := map[string]int64{}
	for range 6 {
		for _, line := range crashtest.Kill(t, "writes", dir, 60) {
			name, number, whole := strings.Cut(line, " ")
			n, err := strconv.ParseInt(number, 10, 64)
			if whole && err == nil {
				least[name] = max(least[name], n)
			}
		}
		s := openIn(t, dir)
		for name, n := range least {
			e, err := s.Get(t.Context(), "a", name)
			require.NoError(t, err)
			found, err := strconv.ParseInt(string(e.Value), 10, 64)
			require.NoError(t, err)
			require.GreaterOrEqual(t, found, n, "acknowledged writes are kept")
			least[name] = found
			left, err := s.Get(t.Context(), "a", name+"/left")
			require.NoError(t, err)
			right, err := s.Get(t.Context(), "a", name+"/right")
			require.NoError(t, err)
			require.Equal(t, left.Value, right.Value, "a write is whole")
		}
		requireUsage(t, s)
		require.NoError(t, s.Close())
		left, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		for _, name := range left {
			require.Equal(t, ending, filepath.Ext(name), "the next start removes what an interrupted creation or deletion left")
		}
	}
}

// requireUsage checks the accounting against the content.
func requireUsage(t *testing.T, s *Stores) {
	t.Helper()
	all, err := s.All(t.Context())
	require.NoError(t, err)
	var total kv.Usage
	for _, info := range all {
		require.Empty(t, info.Problem)
		var found kv.Usage
		for q := (kv.Query{Limit: kv.MaxPage}); ; {
			page, err := s.List(t.Context(), info.Name, q)
			require.NoError(t, err)
			for _, e := range page.Entries {
				found.Keys++
				found.Bytes += e.SizeBytes
			}
			if q.After = page.Next; q.After == "" {
				break
			}
		}
		require.Equal(t, found, info.Usage, info.Name)
		total.Keys += found.Keys
		total.Bytes += found.Bytes
	}
	require.Equal(t, total, s.Stats().Usage)
}

// sectorBytes is what a disk writes at once.
const sectorBytes = 512

// TestPowerLoss cuts the power at every phase of every write. Of a write of the file without an fsync, any of its sectors
// can be there. A change must be there wholly or not at all, and not before its meta page was begun.
func TestPowerLoss(t *testing.T) {
	dir := t.TempDir()
	s := openIn(t, dir)
	defer func() { require.NoError(t, s.Close()) }()
	steps := [][]kv.Change{
		{{Key: "a", Value: []byte("1")}},
		{{Op: kv.OpAdd, Key: "a", Delta: 5}, {Key: "b", Value: bytes.Repeat([]byte("b"), 10_000), Metadata: "m"}},
		{{Op: kv.OpDelete, Key: "a"}, {Key: "c", Value: bytes.Repeat([]byte("c"), 3000)}},
		{{Key: "b", Value: []byte("short")}, {Op: kv.OpAdd, Key: "n", Delta: -3}},
	}
	_, err := s.Write(t.Context(), "a", []kv.Change{{Key: "first", Value: []byte("x")}})
	require.NoError(t, err)
	pageBytes := s.lookup("a").db.Info().PageSize
	random := rand.New(rand.NewPCG(1, 2))
	path := filepath.Join(dir, "a"+ending)
	read := func() []byte {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		return data
	}
	before := read()
	want := content(t, before)
	for n, step := range steps {
		_, err := s.Write(t.Context(), "a", step)
		require.NoError(t, err)
		after := read()
		next := content(t, after)
		require.NotEqual(t, want, next)
		for range 10 {
			require.Equal(t, want, content(t, torn(random, before, after, 2*pageBytes, len(after))), "step %d: the pages", n)
		}
		pages := append(bytes.Clone(before[:2*pageBytes]), after[2*pageBytes:]...)
		for range 5 {
			if got := content(t, torn(random, pages, after, 0, 2*pageBytes)); got != want {
				require.Equal(t, next, got, "step %d: the meta", n)
			}
		}
		before, want = after, next
	}
}

// content returns all that a file has.
func content(t *testing.T, data []byte) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"+ending), data, 0o600))
	s := openIn(t, dir)
	page, err := s.List(t.Context(), "a", kv.Query{Limit: kv.MaxPage, Values: true})
	require.NoError(t, err)
	requireUsage(t, s)
	require.NoError(t, s.Close())
	return fmt.Sprint(page)
}

// torn returns before with random sectors of after in a range. The file has its new length: bbolt fsyncs that first.
func torn(random *rand.Rand, before, after []byte, from, to int) []byte {
	data := append(bytes.Clone(before), make([]byte, max(0, len(after)-len(before)))...)
	for at := from; at < to; at += sectorBytes {
		if random.IntN(2) == 0 {
			copy(data[at:min(at+sectorBytes, to)], after[at:])
		}
	}
	return data
}
