package journal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/heaptest"
)

// The model: of each service, the latest entries are there, in order and without a gap, within the sizes.
func TestSizesAgainstModel(t *testing.T) {
	const serviceBytes, totalBytes = 16 << 10, 40 << 10
	dir := t.TempDir()
	j := opened(t, dir, Config{ServiceBytes: serviceBytes, TotalBytes: totalBytes})
	random := rand.New(rand.NewPCG(3, 4))
	said := map[string][]string{}
	for i := range 3000 {
		name := fmt.Sprint("/s", random.IntN(6))
		text := fmt.Sprint(i, strings.Repeat("x", random.IntN(100)))
		j.say(name, "", text)
		said[name] = append(said[name], text)
		if random.IntN(5) == 0 {
			j.drain(false)
		}
		if random.IntN(300) == 0 {
			j.drain(true)
			require.NoError(t, j.Close())
			j = opened(t, dir, Config{ServiceBytes: serviceBytes, TotalBytes: totalBytes})
		}
	}
	j.drain(true)
	require.LessOrEqual(t, j.Stats().Bytes, int64(totalBytes))
	require.Equal(t, sizeOnDisk(t, dir), j.Stats().Bytes)
	all := 0
	for name, texts := range said {
		got, more := read(t, j, Filter{Service: only(name)}, 1e6)
		require.False(t, more)
		require.Equal(t, texts[len(texts)-len(got):], got)
		all += len(got)
	}
	require.Greater(t, all, 100)
}

// Services with much output push nothing of a quiet one out.
func TestAQuietServiceKeepsItsLog(t *testing.T) {
	j := opened(t, t.TempDir(), Config{ServiceBytes: 16 << 10, TotalBytes: 40 << 10})
	j.say("/quiet", "", "kept")
	j.drain(true)
	for i := range 1000 {
		j.say(fmt.Sprint("/loud", i%20), "", strings.Repeat("x", 500))
		if i%20 == 0 {
			j.drain(false)
		}
	}
	j.drain(true)
	require.LessOrEqual(t, j.Stats().Bytes, int64(40<<10))
	texts, _ := read(t, j, Filter{Service: only("/quiet")}, 10)
	require.Equal(t, []string{"kept"}, texts)
}

// TestWaitingRequestsHoldNoMoreThanTheyCount adds requests whose texts are parts of larger ones, and whose errors have more than their texts.
func TestWaitingRequestsHoldNoMoreThanTheyCount(t *testing.T) {
	const waiting = 64
	j := opened(t, t.TempDir(), Config{})
	before := heaptest.InUse()
	for i := range waiting {
		rec := requestOf("/a", heaptest.Part(fmt.Sprint(i)), i%2 == 0)
		rec.URI, rec.Method = heaptest.Part("/x"), strings.Repeat("x", heaptest.Large)
		if rec.Failed {
			rec.Err = errors.New(strings.Repeat("x", heaptest.Large))
		}
		j.Of("/a")(rec)
		j.add("/a", Entry{Time: time.Now(), Source: SourceGuest, RequestID: heaptest.Part(fmt.Sprint(i)), Text: heaptest.Part("line")})
	}
	require.Less(t, heaptest.InUse(), before+waiting*heaptest.Large/4)
	j.drain(false)
	texts, _ := read(t, j, Filter{}, 1e4)
	require.Len(t, texts, 2*waiting)
}

func sizeOnDisk(t *testing.T, dir string) (n int64) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	require.NoError(t, err)
	for _, f := range files {
		info, err := os.Stat(f)
		require.NoError(t, err)
		n += info.Size()
	}
	return n
}
