package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdtest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// BenchmarkForwardCold sends Zipf-distributed requests for many services to two hosts in turn, without and with --forward-cold. The
// hosts release the code of a service after 6 s without a request. Run it with -benchtime 1x.
func BenchmarkForwardCold(b *testing.B) {
	for _, forward := range []bool{false, true} {
		b.Run(fmt.Sprintf("forward=%t", forward), func(b *testing.B) {
			for b.Loop() {
				measureForwarding(b, forward)
			}
		})
	}
}

const (
	benchServices = 100
	benchRate     = 60 // requests per second, of all hosts together
	benchTime     = time.Minute
)

func measureForwarding(b *testing.B, forward bool) {
	server := etcdtest.Start(b)
	module := guests.Go(b, "gohello")
	var all []*host
	for range 2 {
		h := newHost(b, server.URL("forward"))
		h.args = append(h.args, "--slots", "64", "--idle", "1s", "--log-level", "warn")
		if forward {
			h.args = append(h.args, "--forward-cold")
		}
		h.start()
		all = append(all, h)
	}
	for i := range benchServices {
		status, answer := all[0].post("/services/add", url.Values{"prefix": {fmt.Sprintf("s%d", i)}}, module)
		require.Equal(b, http.StatusCreated, status, answer)
	}
	all[1].eventually(func() bool { return all[1].body(fmt.Sprintf("/s%d", benchServices-1)) != "" })
	for _, h := range all {
		h.kill()
		h.start()
	}
	<-time.After(5 * time.Second) // the hosts get to know each other
	times := askHosts(b, all)
	slices.Sort(times)
	var cold, loaded, memory, processor float64
	for _, h := range all {
		cold += h.counted("vespo_guest_starts_total", `start="cold"`)
		memory += h.resident()
		loaded += h.value("vespo_pools_loaded")
		processor += h.value("process_cpu_seconds_total")
	}
	b.ReportMetric(cold, "cold-starts")
	b.ReportMetric(loaded, "loaded-at-end")
	b.ReportMetric(memory/(1<<20), "MiB")
	b.ReportMetric(processor, "cpu-s")
	b.ReportMetric(float64(times[len(times)/2])/1e6, "p50-ms")
	b.ReportMetric(float64(times[len(times)*99/100])/1e6, "p99-ms")
	b.ReportMetric(float64(len(times)), "requests")
	for _, h := range all {
		h.kill()
	}
}

// askHosts sends requests at a steady rate to the hosts in turn, and returns how long they took.
func askHosts(b *testing.B, all []*host) (times []time.Duration) {
	random := rand.New(rand.NewPCG(1, 2))
	popular := rand.NewZipf(random, 1.1, 1, benchServices-1)
	var mu sync.Mutex
	var asking sync.WaitGroup
	tick := time.NewTicker(time.Second / benchRate)
	defer tick.Stop()
	for n := range int(benchTime.Seconds() * benchRate) {
		<-tick.C
		target := fmt.Sprintf("%s/s%d", all[n%len(all)].url, popular.Uint64())
		asking.Go(func() {
			began := time.Now()
			resp, err := all[n%len(all)].client.Get(target)
			if err != nil {
				b.Error(err)
				return
			}
			defer resp.Body.Close()
			if _, err = io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
				b.Error(resp.Status, err)
			}
			mu.Lock()
			defer mu.Unlock()
			times = append(times, time.Since(began))
		})
	}
	asking.Wait()
	return times
}

// resident returns the memory of the process, in bytes.
func (h *host) resident() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.program.Process.Pid))
	require.NoError(h.t, err)
	found := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(text)
	require.NotNil(h.t, found)
	kib, err := strconv.ParseFloat(string(found[1]), 64)
	require.NoError(h.t, err)
	return kib * 1024
}

// value returns a metric without labels.
func (h *host) value(metric string) float64 {
	found := regexp.MustCompile(`(?m)^` + metric + ` (\S+)$`).FindStringSubmatch(h.body("/services/metrics"))
	require.NotNil(h.t, found)
	n, err := strconv.ParseFloat(found[1], 64)
	require.NoError(h.t, err)
	return n
}
