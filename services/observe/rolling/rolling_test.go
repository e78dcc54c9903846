package rolling

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/internal/latency"
	"github.com/vespo-dev/vespo/services/observe/tally/tallytest"
)

// counting is a Rolling with the counts that it reads.
type counting struct {
	*Rolling
	counts *tallytest.Services
}

func newCounting(t *testing.T) counting {
	counts := tallytest.New(t)
	return counting{New(counts.Tally), counts}
}

func (c counting) Listen(rec *accesslog.Record) { c.counts.Listen(rec) }

// record returns the record of a request that a service has answered.
func record(name string, generation uint64, latency time.Duration) *accesslog.Record {
	return &accesslog.Record{
		Service:    name,
		Generation: generation,
		Number:     generation + 10,
		Version:    fmt.Sprint("digest ", generation),
		Status:     200,
		BytesIn:    3,
		BytesOut:   5,
		TTLB:       latency,
		Result:     accesslog.Result{Outcome: accesslog.OutcomeOK, GuestTime: 7, PeakBytes: 1 << 20, DirtyBytes: 100},
	}
}

// requestsOf returns the number of requests in each window.
func requestsOf(windows []Window) (all []uint64) {
	for _, w := range windows {
		all = append(all, w.Requests)
	}
	return all
}

// Quantiles of any latencies differ from the true ones by at most the width of a bucket.
func TestQuantilesAgainstSortedLatencies(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		var all []time.Duration
		var by latencies
		for range 1 + random.IntN(3000) {
			d := time.Duration(random.ExpFloat64() * float64(time.Millisecond) * float64(1+seed*seed))
			all = append(all, d)
			by[latency.Bucket(d)]++
		}
		slices.Sort(all)
		for _, q := range []float64{0.5, 0.95, 0.99} {
			index := min(int(q*float64(len(all))), len(all)-1)
			low, high := all[max(0, index-1)], all[min(index+1, len(all)-1)]
			got := by.quantile(q)
			require.GreaterOrEqual(t, got, low-low/8-time.Microsecond, "seed %d, q %v", seed, q)
			require.LessOrEqual(t, got, high+high/8+time.Microsecond, "seed %d, q %v", seed, q)
		}
		var again latencies
		again.add(by.appendTo(nil))
		require.Equal(t, by, again)
	}
}

// Windows and points agree with a list of all requests.
func TestWindowsAgainstAllRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, random := newCounting(t), rand.New(rand.NewPCG(1, 2))
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { r.Run(ctx) })
		time.Sleep(time.Nanosecond) // requests come between the rolls
		begin := time.Now()
		var times []time.Time
		for time.Since(begin) < 90*time.Minute {
			for range random.IntN(4) {
				r.Listen(record("/a", 1+uint64(len(times)%2), time.Millisecond))
				times = append(times, time.Now())
			}
			time.Sleep(time.Duration(random.IntN(20)) * time.Second)
			view := r.Service("/a", true)
			synctest.Wait()
			for _, w := range view.Windows {
				within := uint64(0)
				for _, at := range times {
					if time.Since(at) <= w.Covered {
						within++
					}
				}
				require.Equal(t, within, w.Requests, "the last %s of %s", w.Span, time.Since(begin))
				require.Equal(t, within, w.Outcomes[accesslog.OutcomeOK])
				require.Equal(t, []int64{3 * int64(within), 5 * int64(within), 7 * int64(within)}, []int64{w.BytesIn, w.BytesOut, int64(w.GuestTime)})
			}
			inPoints := uint64(0)
			for _, p := range view.Points {
				inPoints += p.Requests
			}
			current := time.Since(r.start) % Interval
			within := uint64(0)
			for _, at := range times {
				if since := time.Since(at); since >= current && since < current+Points*Interval {
					within++
				}
			}
			require.Equal(t, within, inPoints)
		}
		cancel()
		run.Wait()
	})
}

func TestWindow(t *testing.T) {
	r := newCounting(t)
	r.Listen(record("/a", 1, 10*time.Millisecond))
	failed := record("/a", 1, 30*time.Millisecond)
	failed.Failed, failed.Outcome, failed.PeakBytes, failed.DirtyBytes = true, accesslog.OutcomeTrap, 2<<20, 300
	r.Listen(failed)
	odd := record("/a", 1, 20*time.Millisecond)
	odd.Outcome = "of a later version"
	r.Listen(odd)
	w := r.Service("/a", false).Windows[0]
	require.Equal(t, map[accesslog.Outcome]uint64{"ok": 1, "trap": 1, "other": 1}, w.Outcomes)
	require.Equal(t, []any{uint64(3), uint64(1), 20 * time.Millisecond, int64(2 << 20), int64(166)}, []any{w.Requests, w.Failed, w.Mean, w.PeakBytes, w.ResidentBytes})
	require.InEpsilon(t, 20*time.Millisecond, w.P50, 0.13)
	require.InEpsilon(t, 30*time.Millisecond, w.P99, 0.13)
	require.InEpsilon(t, 3, w.Rate(), 0.01, "a young service has at least a second")
}

func TestVersionsAreApartAndTogether(t *testing.T) {
	r := newCounting(t)
	for generation := range uint64(3) {
		for range generation + 1 {
			r.Listen(record("/a", generation+1, time.Millisecond))
		}
	}
	view := r.Service("/a", false)
	require.Equal(t, []uint64{6, 6, 6, 6}, requestsOf(view.Windows))
	require.Len(t, view.Versions, 3)
	for i, v := range view.Versions {
		require.Equal(t, VersionID{Generation: uint64(i + 1), Number: uint64(i + 11), Digest: fmt.Sprint("digest ", i+1)}, v.VersionID)
		require.Equal(t, uint64(i+1), v.Windows[0].Requests)
	}
}

func TestRequestsWithoutServiceAreIgnored(t *testing.T) {
	r := newCounting(t)
	r.Listen(&accesslog.Record{Service: "services", URI: "/x"})
	r.Listen(&accesslog.Record{})
	require.Equal(t, Stats{}, r.Stats())
	require.Equal(t, []uint64{0, 0, 0, 0}, requestsOf(r.Service("services", true).Windows))
}

// Services follow the catalogue, also if a last request of a removed service ends after its removal.
func TestServicesFollowTheCatalogue(t *testing.T) {
	r := newCounting(t)
	r.Listen(record("/a", 1, time.Millisecond))
	r.Listen(record("/b", 2, time.Millisecond))
	r.Roll()
	require.Equal(t, 2, r.Stats().Services)
	_, versions := r.counts.Service("/a")
	r.counts.Remove("/a")
	versions[0].Count(record("/a", 1, time.Millisecond))
	require.Equal(t, []uint64{0, 0, 0, 0}, requestsOf(r.Service("/a", false).Windows))
	r.Roll()
	require.Equal(t, Stats{Services: 1, Versions: 1}, r.Stats())
	require.Equal(t, uint64(1), r.Service("/b", false).Windows[0].Requests)
	r.Listen(record("/a", 1, time.Millisecond))
	require.Equal(t, uint64(1), r.Service("/a", false).Windows[0].Requests, "another service with the name")
}

func TestVersionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newCounting(t)
		for generation := range uint64(10 * MaxVersions) {
			r.Listen(record("/a", generation+1, time.Millisecond))
			time.Sleep(Interval)
			r.Roll()
		}
		view := r.Service("/a", false)
		require.Len(t, view.Versions, MaxVersions)
		require.Equal(t, uint64(10*MaxVersions), view.Versions[MaxVersions-1].Generation)
		require.Equal(t, []uint64{2, 12, MaxVersions, MaxVersions}, requestsOf(view.Windows), "those of %d versions", MaxVersions)
		time.Sleep(2 * time.Hour)
		r.Roll()
		require.Equal(t, Stats{Services: 1, Versions: 1}, r.Stats(), "versions without requests are forgotten")
		require.Equal(t, []uint64{0, 0, 0, 0}, requestsOf(r.Service("/a", false).Windows))
		require.Len(t, r.services, 1)
		for _, s := range r.services {
			require.Len(t, s.versions, 1)
		}
	})
}

// A version that comes back goes on, also if it has been counted anew since.
func TestVersionsComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, gone := range []time.Duration{time.Minute, 10 * time.Minute, 3 * time.Hour} {
			r := newCounting(t)
			for _, generation := range []uint64{1, 2} {
				r.Listen(record("/a", generation, time.Millisecond))
			}
			for range gone / Interval {
				time.Sleep(Interval)
				r.Roll()
			}
			r.Listen(record("/a", 1, time.Millisecond))
			view := r.Service("/a", false)
			want := uint64(3)
			if gone > time.Hour {
				want = 1
			}
			require.Equal(t, want, view.Windows[3].Requests, gone)
			r.Roll()
			require.Equal(t, want, r.Service("/a", false).Windows[3].Requests, gone)
			for i, v := range view.Versions {
				require.Equal(t, uint64(11+i), v.Number, gone)
			}
		}
	})
}

// Nothing is lost or counted twice while requests, rolls and reads run at the same time.
func TestHammer(t *testing.T) {
	const workers, each = 4, 5000
	r := newCounting(t)
	var all, rolls sync.WaitGroup
	done := make(chan struct{})
	rolls.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				r.Roll()
				r.Service("/a", true)
			}
		}
	})
	for worker := range workers {
		all.Go(func() {
			for i := range each {
				r.Listen(record("/a", 1+uint64(i%3), time.Duration(i*worker)*time.Microsecond))
			}
		})
	}
	all.Wait()
	close(done)
	rolls.Wait()
	w := r.Service("/a", false).Windows[3]
	require.Equal(t, uint64(workers*each), w.Requests)
	require.Equal(t, int64(5*workers*each), w.BytesOut)
	require.Equal(t, int64(1<<20), w.PeakBytes)
}
