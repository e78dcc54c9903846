package canary

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/internal/latency"
)

// Sample summarises the requests of one version.
type Sample struct {
	Requests uint64
	Errors   uint64
	P95      time.Duration // time to the first byte, without waits for a place; zero without requests
}

// errorShare returns the share of errors.
func (s Sample) errorShare() float64 {
	if s.Requests == 0 {
		return 0
	}
	return float64(s.Errors) / float64(s.Requests)
}

// counts counts the requests of one version.
type counts struct {
	requests atomic.Uint64
	errors   atomic.Uint64
	latency  [latency.Buckets]atomic.Uint64
}

// add counts a request. Requests that the version has not seen, or that their client has given up, are left out.
func (c *counts) add(rec *accesslog.Record) {
	switch rec.Outcome {
	case accesslog.OutcomeNoCapacity, accesslog.OutcomeRateLimited, accesslog.OutcomeNotReady, accesslog.OutcomeClientGone:
		return
	}
	if rec.Cache.Served() {
		return
	}
	c.requests.Add(1)
	if rec.Status == 0 || rec.Status >= http.StatusInternalServerError || rec.Cache == accesslog.CacheRescue {
		c.errors.Add(1)
	}
	took := rec.TTFB
	if took == 0 {
		took = rec.TTLB
	}
	c.latency[latency.Bucket(took-rec.QueueWait-rec.BodyWait)].Add(1)
}

// sample returns the current counts.
func (c *counts) sample() Sample {
	s := Sample{Requests: c.requests.Load(), Errors: c.errors.Load()}
	var all [latency.Buckets]uint64
	sum := uint64(0)
	for i := range c.latency {
		all[i] = c.latency[i].Load()
		sum += all[i]
	}
	left := sum - sum*95/100 // requests above the p95
	for i := latency.Buckets - 1; i >= 0 && sum > 0; i-- {
		if all[i] >= left {
			s.P95 = latency.Floor(i + 1)
			break
		}
		left -= all[i]
	}
	return s
}
