package peer_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/storetest"
	"github.com/vespo-dev/vespo/services/egress/peer"
)

// partials opens a directory as a new process does.
func partials(t *testing.T, dir string) *peer.Partials {
	t.Helper()
	p, err := peer.OpenPartials(dir)
	require.NoError(t, err)
	return p
}

// stopped begins a transfer that is cut after n bytes, and ends as if the process was stopped.
func stopped(t *testing.T, dir string, blob []byte, n int) {
	t.Helper()
	o := newOther(t, cut(n), status(401))
	_, err := fetcher(t, peer.Config{Partials: partials(t, dir)}, o).Fetch(t.Context(), o.put(blob))
	require.Error(t, err)
}

// TestFetchGoesOnAfterRestart resumes from the bytes on disk, also from damaged ones.
func TestFetchGoesOnAfterRestart(t *testing.T) {
	blob := random(1, 3<<20)
	d := registry.DigestOf(blob)
	for name, test := range map[string]struct {
		change   func(have []byte) []byte // of the file between the two transfers; nil: the file is removed
		resumed  uint64
		received int // at most
	}{
		"as it was":     {change: func(have []byte) []byte { return have }, resumed: 1, received: 1<<20 + 1<<19},
		"torn":          {change: func(have []byte) []byte { return have[:len(have)/2] }, resumed: 1, received: 3 << 20},
		"a flipped bit": {change: func(have []byte) []byte { have[1000] ^= 1; return have }, resumed: 1, received: 5 << 20},
		"too long":      {change: func(have []byte) []byte { return append(bytes.Clone(blob), 1) }, received: 3 << 20},
		"complete":      {change: func([]byte) []byte { return blob }},
		"gone":          {received: 3 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			stopped(t, dir, blob, 2<<20)
			file := filepath.Join(dir, d.Hex())
			have, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Greater(t, len(have), 1<<20+1<<19)
			if test.change == nil {
				require.NoError(t, os.Remove(file))
			} else {
				require.NoError(t, os.WriteFile(file, test.change(have), 0o600))
			}
			o := newOther(t)
			o.put(blob)
			f := fetcher(t, peer.Config{Partials: partials(t, dir)}, o)
			got, err := f.Fetch(t.Context(), d)
			require.NoError(t, err)
			require.True(t, bytes.Equal(blob, got))
			require.Equal(t, test.resumed, f.Stats().Resumed)
			require.LessOrEqual(t, f.Stats().Bytes, int64(test.received))
			require.NoFileExists(t, file)
		})
	}
}

func TestSmallBlobsLeaveNoFile(t *testing.T) {
	dir := t.TempDir()
	stopped(t, dir, random(1, 300_000), 200_000)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestFetchWithoutRoomForBeginnings goes on in memory.
func TestFetchWithoutRoomForBeginnings(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	blob := random(1, 3<<20)
	o := newOther(t, cut(2<<20))
	f := fetcher(t, peer.Config{Partials: partials(t, dir)}, o)
	require.NoError(t, os.RemoveAll(dir))
	got, err := f.Fetch(t.Context(), o.put(blob))
	require.NoError(t, err)
	require.True(t, bytes.Equal(blob, got))
	require.EqualValues(t, 1, f.Stats().Resumed)
}

func TestBeginningsAreBounded(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "strange"), nil, 0o600))
	for i := range 70 {
		name := filepath.Join(dir, registry.DigestOf([]byte(strconv.Itoa(i))).Hex())
		require.NoError(t, os.WriteFile(name, []byte("begin"), 0o600))
		at := time.Unix(int64(1000+i), 0)
		require.NoError(t, os.Chtimes(name, at, at))
	}
	partials(t, dir)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 64)
	require.NoFileExists(t, filepath.Join(dir, registry.DigestOf([]byte("5")).Hex()))
	require.FileExists(t, filepath.Join(dir, registry.DigestOf([]byte("6")).Hex()))
}

// dripping sends a beginning, and then so little that only silence would be less.
func dripping(begin int) fault {
	return func(w http.ResponseWriter, r *http.Request, blob []byte) bool {
		w.Header().Set("Content-Length", strconv.Itoa(len(blob)))
		_, _ = w.Write(blob[:begin])
		for at := begin; ; at++ {
			w.(http.Flusher).Flush()
			select {
			case <-time.After(5 * time.Millisecond):
			case <-r.Context().Done():
				panic(http.ErrAbortHandler)
			}
			_, _ = w.Write(blob[at : at+1])
		}
	}
}

// TestSlowHostIsLeft goes on at another host, from where the slow one was.
func TestSlowHostIsLeft(t *testing.T) {
	blob := random(1, 1<<20)
	slow, other := newOther(t, dripping(700_000)), newOther(t)
	d := slow.put(blob)
	other.put(blob)
	f := fetcher(t, peer.Config{Window: 100 * time.Millisecond}, slow, other)
	got, err := f.Fetch(t.Context(), d)
	require.NoError(t, err)
	require.True(t, bytes.Equal(blob, got))
	s := f.Stats()
	require.EqualValues(t, 1, s.Slow)
	require.EqualValues(t, 1, s.Resumed)
	require.Less(t, s.Bytes, int64(1<<20+1))
}

// TestOnlyHostMayBeSlow accepts a slow transfer if there is no other host, or if all are slow.
func TestOnlyHostMayBeSlow(t *testing.T) {
	late := func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		w.(http.Flusher).Flush()
		<-time.After(300 * time.Millisecond)
		return false
	}
	blob := random(1, 1000)
	for _, n := range []int{1, 2} {
		var others []*other
		for range n {
			o := newOther(t, late, late)
			o.put(blob)
			others = append(others, o)
		}
		f := fetcher(t, peer.Config{Window: 50 * time.Millisecond}, others...)
		got, err := f.Fetch(t.Context(), registry.DigestOf(blob))
		require.NoError(t, err)
		require.True(t, bytes.Equal(blob, got))
		require.EqualValues(t, n-1, f.Stats().Slow)
	}
}

// held answers when the test says so.
func held(arrived *sync.Map, release <-chan struct{}) fault {
	return func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
		arrived.Store(registry.Digest(r.URL.Query().Get("digest")), true)
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return false
	}
}

// TestBlobsForNowComeFirst fetches many blobs in advance from a host that hangs. One that is needed now does not wait for them,
// and one of them that is needed now comes before the others.
func TestBlobsForNowComeFirst(t *testing.T) {
	release := make(chan struct{})
	var arrived sync.Map // digests
	hang := held(&arrived, release)
	o := newOther(t, hang, hang, hang)
	var advance []registry.Digest
	for i := range uint64(10) {
		advance = append(advance, o.put(random(i, 100)))
	}
	now := o.put([]byte("now"))
	s := fetcher(t, peer.Config{Parallel: 4}, o).Over(storetest.NewMemoryBlobs())
	var all sync.WaitGroup
	all.Go(func() { assert.NoError(t, s.Prefetch(t.Context(), advance)) })
	count := func() (n int) {
		arrived.Range(func(any, any) bool { n++; return true })
		return n
	}
	require.Eventually(t, func() bool { return count() == 3 }, time.Minute, time.Millisecond)
	waiting := slices.IndexFunc(advance[:4], func(d registry.Digest) bool { _, ok := arrived.Load(d); return !ok })
	for _, d := range []registry.Digest{now, advance[waiting]} { // the fourth one waits for its turn
		_, err := s.Get(t.Context(), d)
		require.NoError(t, err)
	}
	require.EqualValues(t, 5, o.asked.Load(), "no other blob came before")
	close(release)
	all.Wait()
	have, err := s.List(t.Context())
	require.NoError(t, err)
	require.Len(t, have, 11)
}

// TestLastIsAskedAfterHosts gets from an object store what no host has, and believes it no more than them.
func TestLastIsAskedAfterHosts(t *testing.T) {
	o := newOther(t)
	at, elsewhere := o.put([]byte("at a host")), []byte("elsewhere")
	content, failure := elsewhere, error(nil)
	last := func(context.Context, registry.Digest) ([]byte, error) { return content, failure }
	f := fetcher(t, peer.Config{Last: last}, o)
	got, err := f.Fetch(t.Context(), at)
	require.NoError(t, err)
	require.Equal(t, "at a host", string(got))
	d := registry.DigestOf(elsewhere)
	got, err = f.Fetch(t.Context(), d)
	require.NoError(t, err)
	require.Equal(t, elsewhere, got)
	content = []byte("forged")
	_, err = f.Fetch(t.Context(), d)
	require.ErrorIs(t, err, registry.ErrBlobCorrupt)
	failure = registry.ErrBlobMissing
	_, err = f.Fetch(t.Context(), d)
	require.ErrorIs(t, err, registry.ErrBlobMissing)
	failure = errors.New("away")
	_, err = f.Fetch(t.Context(), d)
	require.ErrorIs(t, err, failure)
}

func TestPrefetchTriesAll(t *testing.T) {
	o := newOther(t)
	local := storetest.NewMemoryBlobs()
	s := fetcher(t, peer.Config{}, o).Over(local)
	here, there := []byte("here"), o.put([]byte("there"))
	require.NoError(t, local.Put(t.Context(), registry.DigestOf(here), here))
	err := s.Prefetch(t.Context(), []registry.Digest{registry.DigestOf([]byte("nowhere")), registry.DigestOf(here), there, there})
	require.ErrorIs(t, err, registry.ErrBlobMissing)
	require.EqualValues(t, 2, o.asked.Load())
	_, err = local.Get(t.Context(), there)
	require.NoError(t, err)
}

// noRoom is a store on a full disk.
type noRoom struct{ registry.BlobStore }

func (noRoom) Put(context.Context, registry.Digest, []byte) error {
	return &os.PathError{Op: "write", Path: "/data/tmp/1", Err: syscall.ENOSPC}
}

func TestFullDiskEndsPrefetch(t *testing.T) {
	o := newOther(t)
	var all []registry.Digest
	for i := range uint64(100) {
		all = append(all, o.put(random(i, 100)))
	}
	s := fetcher(t, peer.Config{Parallel: 2}, o).Over(noRoom{storetest.NewMemoryBlobs()})
	err := s.Prefetch(t.Context(), all)
	require.ErrorIs(t, err, peer.ErrDiskFull)
	require.ErrorContains(t, err, "which has 100 bytes")
	require.Less(t, o.asked.Load(), int32(10))
}
