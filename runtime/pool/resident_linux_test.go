package pool

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// large returns a fixture whose pools have mapped code, each of its own, of which they execute little, and a function that opens one.
func large(t *testing.T) (f *fixture, open func() *Pool) {
	t.Helper()
	f = fixtureOf(t, engine.Config{Slots: 4, CacheDir: t.TempDir()})
	n := 0
	return f, func() *Pool {
		n++
		other := &fixture{engine: f.engine, set: f.set, module: guests.Longer(f.module, 400+n, 200)}
		return other.pool(t, false)
	}
}

// Pools are unloaded for what is resident of their code, and not for its size.
func TestResidentCodeIsWithinTheLimit(t *testing.T) {
	f, open := large(t)
	first := open()
	files, all := f.engine.MappedBytes(), f.engine.LoadedBytes()
	require.Greater(t, files, int64(1<<20), "it is mapped")
	f.set.options.LoadedBytes = all + all/2
	second, third := open(), open()
	require.Eventually(t, func() bool { return f.engine.LoadedBytes() <= f.set.options.LoadedBytes }, time.Minute, time.Millisecond)
	require.Greater(t, f.engine.MappedBytes(), 2*files)
	for _, p := range []*Pool{first, second, third} {
		use(t, p)
	}
	require.Equal(t, 3, f.set.Stats().Loaded)
	require.Zero(t, f.set.Stats().Trimmed)
}

// The disk space of mapped files has a limit of its own. Pools without such a file do not make room.
func TestMappedFilesAreWithinTheirLimit(t *testing.T) {
	f, open := large(t)
	small := f.pool(t, false)
	require.Zero(t, f.engine.MappedBytes())
	first := open()
	f.set.options.MappedBytes = f.engine.MappedBytes() * 3 / 2
	second := open()
	require.Eventually(t, func() bool { return f.engine.MappedBytes() <= f.set.options.MappedBytes }, time.Minute, time.Millisecond)
	require.False(t, first.Stats().Loaded)
	require.True(t, second.Stats().Loaded)
	require.True(t, small.Stats().Loaded, "it is the coldest, but has no file")
	require.EqualValues(t, 1, f.set.Stats().Trimmed)
}
