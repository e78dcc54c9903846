package tally

import (
	"fmt"
	"os"
	"regexp"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
)

func routeOf(service string) *router.Route {
	return router.NewRoute(router.Binding{
		Key:     routekey.Key{Prefix: routekey.Prefix(service)},
		Service: service,
		Handler: router.HandlerFunc(nil),
	})
}

func table(t testing.TB, routes ...*router.Route) *router.Table {
	t.Helper()
	built, err := router.BuildTable(routes)
	require.NoError(t, err)
	return built
}

// names returns the services and numbers of the versions.
func names(t *Tally) (names []string) {
	for _, v := range t.Versions() {
		names = append(names, fmt.Sprint(v.Service.Name, " ", v.Number))
	}
	return names
}

// Versions follow the catalogue: those of a removed service stay until they were scraped and their requests are over.
func TestVersionsFollowTheTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counts := New(nil)
		require.Nil(t, counts.Names())
		a, b := routeOf("/a"), routeOf("/b")
		counts.Follow(table(t, a, b))
		require.Equal(t, []string{"/a 0", "/b 0"}, names(counts))
		service, _ := counts.Service("/a")
		require.False(t, service.Gone())
		counts.Follow(table(t, b))
		require.True(t, service.Gone())
		require.Equal(t, map[string]bool{"/b": true}, counts.Names())
		time.Sleep(2 * Linger)
		require.Contains(t, names(counts), "/a 0", "it has not drained")
		a.Retire()
		require.NotContains(t, names(counts), "/a 0")

		b.Retire()
		counts.Follow(table(t))
		require.Contains(t, names(counts), "/b 0")
		again := routeOf("/b")
		counts.Follow(table(t, again))
		require.Equal(t, []string{"/b 0", "/b 0"}, names(counts))
		require.False(t, counts.Versions()[0].Service.Gone(), "the new service comes first")
		time.Sleep(2 * Linger)
		require.Equal(t, []string{"/b 0"}, names(counts))
	})
}

// A version goes on if another deploy brings it back.
func TestAVersionComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counts := New(nil)
		numbered := func(number, generation uint64) *router.Route {
			route := routeOf("/a")
			route.Number, route.Generation = number, generation
			return route
		}
		first, second := numbered(1, 10), numbered(2, 11)
		counts.Follow(table(t, first))
		_, before := counts.Service("/a")
		counts.Follow(table(t, second))
		first.Retire()
		time.Sleep(Linger / 2)
		third := numbered(1, 12)
		counts.Follow(table(t, third))
		second.Retire()
		time.Sleep(2 * Linger)
		require.Equal(t, []string{"/a 1"}, names(counts))
		_, after := counts.Service("/a")
		require.Same(t, before[0], after[0])
		require.EqualValues(t, 12, after[0].Generation())
	})
}

// The versions that share the requests of a service are counted apart.
func TestRequestsOfASplit(t *testing.T) {
	key := routekey.Key{Prefix: "/a"}
	arm := func(number uint64) router.Arm {
		route := router.NewRoute(router.Binding{
			Key:     key,
			Service: "/a",
			Number:  number,
			Handler: router.HandlerFunc(nil),
		})
		return router.Arm{Route: route, Weight: router.Whole / 2}
	}
	arms := []router.Arm{arm(1), arm(2)}
	counts := New(nil)
	counts.Follow(table(t, router.NewSplit(key, router.Split{Arms: arms, Own: arms[0].Route})))
	require.Equal(t, []string{"/a 1", "/a 2"}, names(counts))
}

func TestRemovedServicesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counts := New(nil)
		const generations = 5
		var routes []*router.Route
		for i := range generations {
			before := routes
			routes = nil
			for j := range maxLinger / 2 {
				routes = append(routes, routeOf(fmt.Sprintf("/%d-%d", i, j)))
			}
			counts.Follow(table(t, routes...))
			for _, route := range before {
				route.Retire()
			}
			time.Sleep(minLinger)
		}
		require.Len(t, names(counts), maxLinger+maxLinger/2)
		require.Contains(t, names(counts), fmt.Sprintf("/%d-0 0", generations-2), "the newest are kept")
	})
}

func record() *accesslog.Record {
	return &accesslog.Record{
		Service:   "/a",
		Status:    200,
		QueueWait: time.Millisecond,
		TTLB:      3 * time.Millisecond,
		BytesIn:   10,
		BytesOut:  20,
		Result: accesslog.Result{
			Outcome:       accesslog.OutcomeOK,
			Start:         accesslog.StartWarm,
			DirtyBytes:    4096,
			ResidentBytes: 4097,
			PeakBytes:     1 << 20,
			GuestTime:     2 * time.Millisecond,
			Work:          5,
			KVOperations:  3,
		},
	}
}

func version(t testing.TB, beside func(string) accesslog.Listener) *Version {
	counts := New(beside)
	counts.Follow(table(t, routeOf("/a")))
	_, versions := counts.Service("/a")
	require.Nil(t, versions[0].Counters())
	return versions[0]
}

func TestARequestIsCounted(t *testing.T) {
	v := version(t, nil)
	v.Count(record())
	failed := record()
	failed.Outcome, failed.Status, failed.Failed, failed.PeakBytes, failed.QueueWait, failed.Start = accesslog.OutcomeTrap, 500, true, 5, 0, ""
	v.Count(failed)
	odd := record()
	odd.Outcome, odd.Status, odd.Start, odd.ColdTime = "of a later version", 7, accesslog.StartCold, time.Second
	v.Count(odd)
	c := v.Counters()
	require.EqualValues(t, 3, c.Count())
	require.EqualValues(t, 1, c.Failed.Load())
	require.EqualValues(t, 1, c.Requests[0][2].Load())
	require.EqualValues(t, 1, c.Requests[2][5].Load())
	require.EqualValues(t, 1, c.Requests[Outcomes-1][0].Load())
	require.Equal(t, []uint64{1, 0, 1}, []uint64{c.Starts[0].Load(), c.Starts[1].Load(), c.Starts[2].Load()})
	require.EqualValues(t, 2, c.Waits().Count())
	require.EqualValues(t, 1, c.ColdStarts().Count())
	require.EqualValues(t, time.Second, c.ColdStarts().Nanos.Load())
	require.Equal(t, []int64{6e6, 3 * 4096, 1 << 20, 30, 60, 15, 9, 9e6}, []int64{c.GuestNanos.Load(), c.DirtyBytes.Load(), c.Peak.Largest(),
		c.BytesIn.Load(), c.BytesOut.Load(), c.Work.Load(), c.KVOperations.Load(), c.Latency.Nanos.Load()})
	require.EqualValues(t, 5*(2000+3000+2000), c.Memory.Load(), "5 KiB from admission to the end")
	require.EqualValues(t, 1<<20, c.Peak.Take())
	v.Count(failed)
	require.Equal(t, []int64{5, 1 << 20}, []int64{c.Peak.Recent(), c.Peak.Largest()})
}

func TestRequestsWithoutAService(t *testing.T) {
	counts := New(nil)
	counts.Listen(&accesslog.Record{Service: "services"})
	counts.Listen(&accesslog.Record{})
	for _, v := range counts.Unserved() {
		require.EqualValues(t, 1, v.Counters().Count())
	}
	require.Empty(t, counts.Versions())
}

func TestARequestAllocatesNothing(t *testing.T) {
	others := 0
	v := version(t, func(string) accesslog.Listener { return func(*accesslog.Record) { others++ } })
	listen, rec := v.listener(), record()
	listen(rec)
	require.Zero(t, testing.AllocsPerRun(100, func() { listen(rec) }))
	require.Equal(t, 102, others)
}

// Concurrent requests, changes and readings lose no request.
func TestConcurrentRequestsAreAllCounted(t *testing.T) {
	const workers, each = 4, 1000
	counts := New(nil)
	a := routeOf("/a")
	counts.Follow(table(t, a))
	_, versions := counts.Service("/a")
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for range each {
				versions[0].Count(record())
			}
		})
	}
	all.Go(func() {
		for i := range 100 {
			counts.Follow(table(t, a, routeOf(fmt.Sprintf("/other%d", i))))
			names(counts)
		}
	})
	all.Wait()
	require.EqualValues(t, workers*each, versions[0].Counters().Count())
	require.EqualValues(t, workers*each, versions[0].Counters().Requests[0][2].Load())
}

// Each outcome of the access log has a place.
func TestOutcomesAreThoseOfTheAccessLog(t *testing.T) {
	source, err := os.ReadFile("../../../router/accesslog/record.go")
	require.NoError(t, err)
	all := regexp.MustCompile(`(?m)^\tOutcome\w+ +Outcome = "([^"]+)"`).FindAllSubmatch(source, -1)
	require.Len(t, all, Outcomes-1)
	for _, match := range all {
		outcome := accesslog.Outcome(match[1])
		require.Equal(t, outcome, OutcomeNames()[outcomeIndex(outcome)])
	}
}

func BenchmarkCount(b *testing.B) {
	v := version(b, nil)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		rec := record()
		rec.QueueWait = 0
		for pb.Next() {
			v.Count(rec)
		}
	})
}

// TestForwardedRequestsAreCountedElsewhere checks that a request which another host has served is not counted.
func TestForwardedRequestsAreCountedElsewhere(t *testing.T) {
	var c Counters
	c.count(&accesslog.Record{Status: 200, Result: accesslog.Result{Outcome: accesslog.OutcomeOK, Start: accesslog.StartForwarded}})
	require.Zero(t, c.Count())
	c.count(&accesslog.Record{Status: 200, Result: accesslog.Result{Outcome: accesslog.OutcomeOK, Start: accesslog.StartWarm}})
	require.EqualValues(t, 1, c.Count())
}
