package peer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/storetest"
	"github.com/vespo-dev/vespo/services/egress/peer"
)

// other is another host. Each request for a blob is served by the next of its faults, and without one as it should be.
type other struct {
	*httptest.Server
	asked atomic.Int32

	mu     sync.Mutex
	blobs  map[string][]byte
	faults []fault
}

// fault answers a request in place of the host. It returns false to let the host answer through w.
type fault func(w http.ResponseWriter, r *http.Request, blob []byte) bool

func newOther(t *testing.T, faults ...fault) *other {
	o := &other{blobs: make(map[string][]byte), faults: faults}
	o.Server = httptest.NewServer(http.HandlerFunc(o.serve))
	t.Cleanup(o.Close)
	return o
}

func (o *other) put(blob []byte) registry.Digest {
	o.mu.Lock()
	defer o.mu.Unlock()
	d := registry.DigestOf(blob)
	o.blobs[string(d)] = blob
	return d
}

func (o *other) serve(w http.ResponseWriter, r *http.Request) {
	o.asked.Add(1)
	o.mu.Lock()
	digest := r.URL.Query().Get("digest")
	blob, ok := o.blobs[digest]
	var f fault
	if len(o.faults) > 0 {
		f, o.faults = o.faults[0], o.faults[1:]
	}
	o.mu.Unlock()
	switch {
	case f != nil && f(w, r, blob):
	case !ok:
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"detail":"no blob of the catalogue has this digest"}`)
	default:
		w.Header().Set("ETag", `"`+digest+`"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(blob))
	}
}

// cut sends a part of the range that was asked for, and closes the connection.
func cut(n int) fault {
	return func(w http.ResponseWriter, r *http.Request, blob []byte) bool {
		begin := 0
		if text, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok {
			begin, _ = strconv.Atoi(strings.TrimSuffix(text, "-"))
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", begin, len(blob)-1, len(blob)))
		}
		rest := blob[begin:]
		w.Header().Set("Content-Length", strconv.Itoa(len(rest)))
		if begin > 0 {
			w.WriteHeader(http.StatusPartialContent)
		}
		_, _ = w.Write(rest[:min(n, len(rest)-1)])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

func flip(w http.ResponseWriter, _ *http.Request, blob []byte) bool {
	flipped := bytes.Clone(blob)
	flipped[len(flipped)/2] ^= 4
	_, _ = w.Write(flipped)
	return true
}

// whole ignores the range.
func whole(w http.ResponseWriter, _ *http.Request, blob []byte) bool {
	_, _ = w.Write(blob)
	return true
}

func status(code int, header ...string) fault {
	return func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		return true
	}
}

// silent sends the header and nothing more until the client leaves.
func silent(w http.ResponseWriter, r *http.Request, _ []byte) bool {
	w.(http.Flusher).Flush()
	<-r.Context().Done()
	return true
}

func fetcher(t *testing.T, cfg peer.Config, others ...*other) *peer.Fetcher {
	var hosts []*peer.Host
	for _, o := range others {
		h, err := peer.NewHost(peer.HostConfig{URL: o.URL, Token: "secret"})
		require.NoError(t, err)
		t.Cleanup(h.Close)
		hosts = append(hosts, h)
	}
	cfg.Hosts = func() []*peer.Host { return hosts }
	return peer.NewFetcher(cfg)
}

func random(seed uint64, size int) []byte {
	var key [32]byte
	key[0] = byte(seed)
	blob := make([]byte, size)
	_, _ = rand.NewChaCha8(key).Read(blob)
	return blob
}

func TestFetch(t *testing.T) {
	blob := random(1, 300_000)
	d := registry.DigestOf(blob)
	wrongPart := func(w http.ResponseWriter, r *http.Request, blob []byte) bool {
		w.Header().Set("Content-Range", "bytes 5-9/10")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(blob[5:10])
		return true
	}
	for name, test := range map[string]struct {
		faults   [][]fault // of each host
		holds    []bool    // whether a host has the blob; default: yes
		cfg      peer.Config
		resumed  uint64
		asked    int32 // in total; 0: any number
		is       error // of the result
		contains string
	}{
		"at once":                      {asked: 1},
		"resumed":                      {faults: [][]fault{{cut(100_000), cut(150_000)}}, resumed: 2, asked: 3},
		"resumed from another":         {faults: [][]fault{{cut(1000)}, nil}, resumed: 1, asked: 2},
		"cut before the first byte":    {faults: [][]fault{{cut(0), cut(0)}}, asked: 3},
		"the server has no ranges":     {faults: [][]fault{{cut(1000), whole}}, asked: 2},
		"another range":                {faults: [][]fault{{wrongPart}}, asked: 2},
		"no such range":                {faults: [][]fault{{cut(1000), status(416)}}, asked: 3},
		"a flipped bit":                {faults: [][]fault{{flip}}, asked: 2},
		"flipped at one host":          {faults: [][]fault{{flip, flip}, {flip}}},
		"flipped at rest":              {faults: [][]fault{{flip, flip, flip, flip}}, asked: 2, is: registry.ErrBlobCorrupt},
		"flipped and missing":          {faults: [][]fault{{flip, flip, flip, flip}, nil}, holds: []bool{true, false}, is: registry.ErrBlobCorrupt},
		"missing":                      {holds: []bool{false}, asked: 1, is: registry.ErrBlobMissing, contains: "no blob of the catalogue"},
		"missing at one":               {faults: [][]fault{nil, nil}, holds: []bool{false, true}, asked: 2},
		"missing here, refused there":  {faults: [][]fault{nil, {status(403)}}, holds: []bool{false, true}, asked: 2, contains: "403 Forbidden"},
		"refused there, missing here":  {faults: [][]fault{{status(401)}, nil}, holds: []bool{true, false}, asked: 2, contains: "401 Unauthorized"},
		"too busy":                     {faults: [][]fault{{status(503)}}, asked: 2},
		"broken":                       {faults: [][]fault{{status(500), status(500), status(500)}}, cfg: peer.Config{Attempts: 3}, asked: 3, contains: "500 Internal"},
		"redirected":                   {faults: [][]fault{{status(302, "Location", "/elsewhere")}}, cfg: peer.Config{Attempts: 1}, asked: 1, contains: "302 Found"},
		"silent":                       {faults: [][]fault{{silent}}, cfg: peer.Config{Silence: 30 * time.Millisecond}, asked: 2},
		"too large":                    {cfg: peer.Config{MaxBytes: 299_999}, asked: 1, is: registry.ErrBlobMissing, contains: "at most 299999"},
		"never complete":               {faults: [][]fault{{silent}}, cfg: peer.Config{Timeout: 50 * time.Millisecond}, is: context.DeadlineExceeded, contains: "not complete within 50ms"},
		"a byte at a time is progress": {faults: [][]fault{{cut(1), cut(1), cut(1), cut(1)}}, cfg: peer.Config{Attempts: 2}, resumed: 4, asked: 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.faults == nil {
				test.faults = [][]fault{nil}
			}
			var others []*other
			for i, faults := range test.faults {
				o := newOther(t, faults...)
				if test.holds == nil || test.holds[i] {
					o.put(blob)
				}
				others = append(others, o)
			}
			f := fetcher(t, test.cfg, others...)
			got, err := f.Fetch(t.Context(), d)
			var asked int32
			for _, o := range others {
				asked += o.asked.Load()
			}
			if test.asked > 0 {
				require.Equal(t, test.asked, asked)
			}
			if test.is != nil || test.contains != "" {
				require.Error(t, err)
				if test.is != nil {
					require.ErrorIs(t, err, test.is)
				} else {
					require.NotErrorIs(t, err, registry.ErrBlobMissing)
					require.NotErrorIs(t, err, registry.ErrBlobCorrupt)
				}
				require.Contains(t, err.Error(), test.contains)
				require.NotContains(t, err.Error(), "secret")
				require.EqualValues(t, 1, f.Stats().Failed)
				return
			}
			require.NoError(t, err)
			require.True(t, bytes.Equal(blob, got))
			require.Equal(t, test.resumed, f.Stats().Resumed)
			require.Equal(t, peer.Stats{Fetched: 1, Resumed: test.resumed, Corrupt: f.Stats().Corrupt, Bytes: f.Stats().Bytes}, f.Stats())
		})
	}
}

// TestRandomFaults fetches from hosts with random faults. What arrives has the digest.
func TestRandomFaults(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 0))
			var others []*other
			for range 1 + r.IntN(3) {
				var faults []fault
				for range r.IntN(6) {
					faults = append(faults, []fault{cut(r.IntN(200_000)), cut(r.IntN(1000)), flip, status(500), status(200), nil}[r.IntN(6)])
				}
				others = append(others, newOther(t, faults...))
			}
			f := fetcher(t, peer.Config{}, others...)
			for i := range uint64(4) {
				blob := random(seed*10+i, 1+r.IntN(300_000))
				for _, o := range others {
					o.put(blob)
				}
				got, err := f.Fetch(t.Context(), registry.DigestOf(blob))
				if err == nil {
					require.True(t, bytes.Equal(blob, got))
				} else {
					require.ErrorIs(t, err, registry.ErrBlobCorrupt, "other faults pass")
				}
			}
		})
	}
}

func TestFetchWithoutHosts(t *testing.T) {
	f := fetcher(t, peer.Config{})
	_, err := f.Fetch(t.Context(), registry.DigestOf(nil))
	require.ErrorContains(t, err, "no other host")
	_, err = f.Fetch(t.Context(), "sha256:../x")
	require.ErrorIs(t, err, registry.ErrDigest)
}

func TestHostURLs(t *testing.T) {
	for _, bad := range []string{"", "example.com", "ftp://example.com", "http://", "http://user@example.com", "http://example.com/x", "http://example.com?x", "http://example.com#x", "http://%"} {
		_, err := peer.NewHost(peer.HostConfig{URL: bad})
		require.Error(t, err, bad)
	}
	h, err := peer.NewHost(peer.HostConfig{URL: "https://example.com:8080/"})
	require.NoError(t, err)
	require.Equal(t, "https://example.com:8080", h.String())
}

// TestStoreFetchesWhatItLacks gets a blob from many goroutines: it is fetched once, stored, and repaired.
func TestStoreFetchesWhatItLacks(t *testing.T) {
	o := newOther(t, cut(10))
	blob := random(1, 100_000)
	d := o.put(blob)
	local := storetest.NewMemoryBlobs()
	s := fetcher(t, peer.Config{}, o).Over(local)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			got, err := s.Get(t.Context(), d)
			assert.NoError(t, err)
			assert.True(t, bytes.Equal(blob, got))
		})
	}
	all.Wait()
	require.EqualValues(t, 2, o.asked.Load())
	local.Damage(d, []byte("other"))
	got, err := s.Get(t.Context(), d)
	require.NoError(t, err)
	require.True(t, bytes.Equal(blob, got))
	got, err = local.Get(t.Context(), d)
	require.NoError(t, err)
	require.True(t, bytes.Equal(blob, got))
	_, err = s.Get(t.Context(), registry.DigestOf([]byte("unknown")))
	require.ErrorIs(t, err, registry.ErrBlobMissing)
}

// full is a store without space.
type full struct{ registry.BlobStore }

var errFull = errors.New("no space left on device")

func (full) Put(context.Context, registry.Digest, []byte) error { return errFull }

func TestStoreReportsAFullDisk(t *testing.T) {
	o := newOther(t)
	d := o.put([]byte("one"))
	s := fetcher(t, peer.Config{}, o).Over(full{storetest.NewMemoryBlobs()})
	_, err := s.Get(t.Context(), d)
	require.ErrorIs(t, err, errFull)
	require.NotErrorIs(t, err, registry.ErrBlobMissing)
}

// TestCanceledFetchDoesNotFailOthers cancels the caller who fetches.
func TestCanceledFetchDoesNotFailOthers(t *testing.T) {
	o := newOther(t, silent)
	d := o.put([]byte("one"))
	s := fetcher(t, peer.Config{}, o).Over(storetest.NewMemoryBlobs())
	first, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		_, err := s.Get(first, d)
		assert.ErrorIs(t, err, context.Canceled)
	})
	require.Eventually(t, func() bool { return o.asked.Load() == 1 }, time.Minute, time.Millisecond)
	all.Go(func() {
		got, err := s.Get(t.Context(), d)
		assert.NoError(t, err)
		assert.Equal(t, "one", string(got))
	})
	cancel()
	all.Wait()
}
