package cache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// shelf is an Engine in memory. Its clock differs from that of the hosts.
type shelf struct {
	mu      sync.Mutex
	values  map[string][]byte
	ends    map[string]time.Time
	epoch   int
	notices [][]byte
	fails   bool
	hangs   bool
	takes   time.Duration // of a call
	bulky   time.Duration // of reading values, in addition
	calls   int
	reads   int
}

func newShelf() *shelf { return &shelf{values: map[string][]byte{}, ends: map[string]time.Time{}} }

func (s *shelf) now() time.Time { return time.Now().Add(-1000 * time.Hour) }

// set changes the shelf.
func (s *shelf) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// counted returns the number of all calls, and of Read.
func (s *shelf) counted() (calls, reads int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls, s.reads
}

// lose loses all that the shelf has.
func (s *shelf) lose() {
	s.set(func() {
		clear(s.values)
		s.notices = nil
		s.epoch++
	})
}

func (s *shelf) call(ctx context.Context, f func()) error {
	s.mu.Lock()
	s.calls++
	fails, hangs, takes := s.fails, s.hangs, s.takes
	s.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	time.Sleep(takes)
	if fails {
		return errors.New("the shelf is away")
	}
	s.set(f)
	return nil
}

func (s *shelf) Read(ctx context.Context, keys []string, limit int) (values [][]byte, at time.Time, err error) {
	s.mu.Lock()
	bulky := s.bulky
	s.mu.Unlock()
	time.Sleep(bulky)
	err = s.call(ctx, func() {
		s.reads++
		at = s.now()
		for _, key := range keys {
			if !at.Before(s.ends[key]) {
				delete(s.values, key)
			}
			values = append(values, s.values[key])
		}
	})
	return values, at, err
}

func (s *shelf) Write(ctx context.Context, records []Record) error {
	return s.call(ctx, func() {
		for _, r := range records {
			if s.values[r.Key] == nil || !r.New {
				s.values[r.Key], s.ends[r.Key] = r.Value, s.now().Add(r.TTL)
			}
		}
	})
}

func (s *shelf) Remove(ctx context.Context, removals []Removal) error {
	return s.call(ctx, func() {
		for _, r := range removals {
			s.values[r.Mark], s.ends[r.Mark] = r.Value, s.now().Add(r.TTL)
			for _, key := range r.Delete {
				delete(s.values, key)
			}
			s.notices = append(s.notices, r.Notice)
		}
	})
}

func (s *shelf) Log(ctx context.Context, after Position) (log Log, err error) {
	err = s.call(ctx, func() {
		log.At, log.Epoch, log.N = s.now(), strconv.Itoa(s.epoch), int64(len(s.notices))
		if log.Lost = log.Epoch != after.Epoch || log.N < after.N; !log.Lost {
			log.Notices = s.notices[after.N:]
		}
	})
	return log, err
}

func (s *shelf) Close() error { return nil }

// hosts returns stores that share a shelf, and what ends them.
func hosts(n int, engine Engine) (all []*Store, end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for range n {
		s := NewStore(1 << 20)
		sharing := s.Share(engine)
		group.Go(func() { sharing.Run(ctx) })
		all = append(all, s)
	}
	return all, func() {
		cancel()
		group.Wait()
	}
}

// settle waits until all hosts know what others have removed.
func settle() { time.Sleep(2 * pollGap); synctest.Wait() }

// warm makes the mark of the service.
func warm(t *testing.T, c *Cache) {
	settle()
	fetch(t, c, ask("/warm"), "", "Cache-Control: max-age=1")
	synctest.Wait()
}

func TestHostsShareAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := newShelf()
		stores, end := hosts(2, engine)
		defer end()
		a, b := stores[0].OpenShared("/a", "1"), stores[1].OpenShared("/a", "1")
		other, alone := stores[1].OpenShared("/a", "2"), stores[1].Open("/a")
		warm(t, a)
		fetch(t, a, ask("/x"), "kept", "Cache-Control: max-age=60", "X: 1")
		time.Sleep(20 * time.Second)
		found, err := b.Fetch(t.Context(), ask("/x"))
		require.NoError(t, err)
		require.NotNil(t, found.Hit)
		require.True(t, found.Shared)
		h := http.Header{}
		status, body := found.Hit.Answer(h)
		require.Equal(t, 200, status)
		require.Equal(t, "kept", string(body))
		require.Equal(t, "20", h.Get("Age"), "by the clock of the engine, which differs by weeks")
		require.Equal(t, "1", h.Get("X"))
		found.Hit.Release()
		for _, c := range []*Cache{other, alone} {
			_, why := fetch(t, c, ask("/x"), "other", "Cache-Control: no-store")
			require.Equal(t, WhyMiss, why)
		}
		_, why := fetch(t, b, ask("/x", "Cookie: a=b"), "own", "Cache-Control: no-store")
		require.Equal(t, WhyRequest, why, "the answer is neither public nor has it s-maxage")
		_, reads := engine.counted()
		for range 10 {
			body, why := fetch(t, b, ask("/x"), "")
			require.Empty(t, why)
			require.Equal(t, "kept", body)
		}
		_, after := engine.counted()
		require.Equal(t, reads, after, "a hit in memory asks nobody")

		for i, language := range []string{"eo", "de"} {
			fetch(t, a, ask("/v", "Accept-Language: "+language), strconv.Itoa(i), "Cache-Control: max-age=60", "Vary: Accept-Language")
		}
		synctest.Wait()
		for i, language := range []string{"eo", "de"} {
			body, why := fetch(t, b, ask("/v", "Accept-Language: "+language), "")
			require.Empty(t, why)
			require.Equal(t, strconv.Itoa(i), body)
		}
		_, why = fetch(t, b, ask("/v"), "", "Cache-Control: no-store")
		require.Equal(t, WhyVary, why)
		engine.set(func() {
			for name := range engine.values {
				require.NotContains(t, name, "/", "keys are digests")
			}
		})
	})
}

// TestRemovalsReachOtherHosts removes on one host, before, during and after what another one does.
func TestRemovalsReachOtherHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := newShelf()
		stores, end := hosts(2, engine)
		defer end()
		a, b := stores[0].OpenShared("/a", "1"), stores[1].OpenShared("/a", "1")
		warm(t, a)
		serves := func(c *Cache, target, want string) {
			t.Helper()
			body, why := fetch(t, c, ask(target), "")
			require.Empty(t, why)
			require.Equal(t, want, body)
		}
		misses := func(c *Cache, target string) {
			t.Helper()
			body, why := fetch(t, c, ask(target), "", "Cache-Control: no-store")
			require.NotEmpty(t, why, body)
		}
		for _, remove := range []func(){
			func() { a.Invalidate(ask("/x").Key) },
			func() { stores[0].Purge("/a") },
		} {
			time.Sleep(time.Minute) // targets count as not storable
			warm(t, a)
			fetch(t, a, ask("/x"), "old", "Cache-Control: max-age=600")
			synctest.Wait()
			serves(b, "/x", "old")
			late, err := b.Fetch(t.Context(), ask("/x", "Cache-Control: no-cache"))
			require.NoError(t, err)
			remove()
			misses(a, "/x")
			settle()
			late.Fill.Answer(200, header("Cache-Control: max-age=600"), time.Now())
			late.Fill.End(true, header())
			synctest.Wait()
			misses(b, "/x")
			time.Sleep(time.Minute)
			misses(a, "/x")
		}
		warm(t, a)
		fetch(t, a, ask("/long?"+strings.Repeat("x", maxNotice)), "old", "Cache-Control: max-age=600")
		synctest.Wait()
		long := ask("/long?" + strings.Repeat("x", maxNotice))
		serves(b, long.Key.Target, "old")
		a.Invalidate(long.Key)
		settle()
		misses(b, long.Key.Target)

		warm(t, a)
		fetch(t, a, ask("/y"), "old", "Cache-Control: max-age=600")
		synctest.Wait()
		serves(b, "/y", "old")
		engine.set(func() { engine.fails = true })
		a.Invalidate(ask("/y").Key)
		settle()
		require.Equal(t, 1, stores[0].sharing.Stats().Removals)
		serves(b, "/y", "old")
		engine.set(func() { engine.fails = false })
		settle()
		settle()
		require.Zero(t, stores[0].sharing.Stats().Removals)
		misses(b, "/y")
		time.Sleep(time.Minute)
		fetch(t, b, ask("/z"), "old", "Cache-Control: max-age=600")
		engine.lose()
		settle()
		require.EqualValues(t, 1, stores[1].sharing.Stats().Resets)
		misses(b, "/z")
	})
}

// TestEnginesThatFail counts how often an engine that fails or is silent is asked, and for how long requests wait.
func TestEnginesThatFail(t *testing.T) {
	for name, fault := range map[string]func(*shelf){
		"fails":  func(s *shelf) { s.fails = true },
		"silent": func(s *shelf) { s.hangs = true },
		"slow":   func(s *shelf) { s.takes = callTime / 2 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				engine := newShelf()
				stores, end := hosts(1, engine)
				defer end()
				c := stores[0].OpenShared("/a", "1")
				warm(t, c)
				engine.set(func() { fault(engine); engine.calls = 0 })
				begin := time.Now()
				for i := range 1000 {
					fetch(t, c, ask(fmt.Sprint("/", i)), "x", "Cache-Control: max-age=60")
				}
				require.LessOrEqual(t, time.Since(begin), lookTime, "of 1000 requests, one has waited")
				require.EqualValues(t, 1, stores[0].sharing.Stats().Failed)
				time.Sleep(time.Minute)
				for i := range 1000 {
					fetch(t, c, ask(fmt.Sprint("/more", i)), "x", "Cache-Control: max-age=60")
				}
				require.EqualValues(t, 1, stores[0].sharing.Stats().Failed, "the log is read before requests ask again")
				calls, _ := engine.counted()
				require.LessOrEqual(t, calls, 65)
				require.True(t, stores[0].sharing.Stats().Away)
				engine.set(func() { engine.fails, engine.hangs, engine.takes = false, false, 0 })
				time.Sleep(5 * time.Second)
				require.False(t, stores[0].sharing.Stats().Away)
			})
		})
	}
}

// TestEnginesThatAreSlowWithValues has an engine whose log is read in time, and values are not. Few requests wait for it.
func TestEnginesThatAreSlowWithValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := newShelf()
		stores, end := hosts(1, engine)
		defer end()
		c := stores[0].OpenShared("/a", "1")
		warm(t, c)
		engine.set(func() { engine.bulky = 2 * lookTime })
		begin, n := time.Now(), 0
		for ; time.Since(begin) < time.Minute; n++ {
			fetch(t, c, ask(fmt.Sprint("/", n)), "x", "Cache-Control: max-age=60")
			time.Sleep(10 * time.Millisecond)
		}
		failed := stores[0].sharing.Stats().Failed
		require.Greater(t, n, 5000)
		require.Greater(t, failed, uint64(1), "it is tried again")
		require.LessOrEqual(t, failed, uint64(time.Minute/awayTime))
	})
}

// TestLookupsAndTheQueueAreBounded has many requests while the engine hangs.
func TestLookupsAndTheQueueAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := newShelf()
		stores, end := hosts(1, engine)
		defer end()
		c, sharing := stores[0].OpenShared("/a", "1"), stores[0].sharing
		warm(t, c)
		engine.set(func() { engine.takes = 20 * time.Millisecond })
		time.Sleep(pollGap / 2)
		_, reads := engine.counted()
		var group sync.WaitGroup
		for i := range 200 {
			group.Go(func() {
				found, err := c.Fetch(context.Background(), ask(fmt.Sprint("/", i)))
				if err == nil && found.Fill != nil {
					body := make([]byte, 20<<10)
					found.Fill.Answer(200, header("Cache-Control: max-age=60"), time.Now())
					_, _ = found.Fill.Write(body)
					found.Fill.End(true, header())
				}
			})
		}
		group.Wait()
		require.LessOrEqual(t, sharing.Stats().Queued, stores[0].limit/queueShare)
		time.Sleep(5 * time.Second)
		_, after := engine.counted()
		require.Equal(t, lookPlaces, after-reads)
		stats := sharing.Stats()
		require.EqualValues(t, 200-lookPlaces, stats.Skipped)
		require.Zero(t, stats.Queued)
		require.Positive(t, stats.Dropped, "16 answers have no room in an eighth of the memory")
		require.Positive(t, stats.Written)
	})
}
