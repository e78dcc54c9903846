package canary

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router/accesslog"
)

var began = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func running() registry.Canary {
	return registry.Canary{
		Number:  2,
		Against: 1,
		State:   registry.CanaryRunning,
		Began:   began,
		Ends:    began.Add(10 * time.Minute),
		Rules:   registry.CanaryRules{MinRequests: 100, MaxErrors: 0.01, MaxLatency: 1.5},
	}
}

func TestDecide(t *testing.T) {
	const ms = time.Millisecond
	good := Sample{Requests: 10_000, Errors: 10, P95: 10 * ms}
	for name, c := range map[string]struct {
		trial, other Sample
		after        time.Duration
		want         Verdict
		reason       string
	}{
		"no requests yet":                   {Sample{}, Sample{}, 0, Wait, ""},
		"few requests, all failed":          {Sample{99, 99, ms}, good, time.Minute, Wait, ""},
		"as good, running":                  {good, good, time.Minute, Wait, ""},
		"as good, over":                     {good, good, 10 * time.Minute, Promote, "errors: 0.1% of 10000 requests, against 0.1% of 10000; p95 of 10ms, against 10ms"},
		"all failed":                        {Sample{100, 100, ms}, good, time.Second, RollBack, "errors: 100% of 100 requests, against 0.1% of 10000"},
		"errors within the margin":          {Sample{10_000, 90, 10 * ms}, good, 10 * time.Minute, Promote, ""},
		"errors beyond the margin":          {Sample{10_000, 200, 10 * ms}, good, time.Minute, RollBack, "errors: "},
		"a few more errors, running":        {Sample{100, 4, 10 * ms}, good, time.Minute, Wait, ""},
		"a few more errors, over":           {Sample{100, 10, 10 * ms}, good, 10 * time.Minute, RollBack, "errors: "},
		"both fail":                         {Sample{1000, 500, ms}, Sample{1000, 500, ms}, 10 * time.Minute, Promote, ""},
		"slower":                            {Sample{1000, 0, 16 * ms}, Sample{1000, 0, 10 * ms}, time.Minute, RollBack, "latency: p95 of 16ms, against 10ms"},
		"slower within the factor":          {Sample{1000, 0, 15 * ms}, Sample{1000, 0, 10 * ms}, 10 * time.Minute, Promote, ""},
		"slower by less than a millisecond": {Sample{1000, 0, 900 * time.Microsecond}, Sample{1000, 0, 100 * time.Microsecond}, 10 * time.Minute, Promote, ""},
		"over with too few requests":        {Sample{99, 0, ms}, good, 15 * time.Minute, Wait, ""},
		"over for as long again":            {Sample{99, 0, ms}, good, 20 * time.Minute, RollBack, "too few requests to decide: 99 of version 2 and 10000 of version 1, needed are 100"},
	} {
		t.Run(name, func(t *testing.T) {
			got, reason := Decide(running(), c.trial, c.other, began.Add(c.after))
			require.Equal(t, c.want, got, reason)
			require.Contains(t, reason, c.reason)
			require.Equal(t, got == Wait, reason == "")
		})
	}
}

// TestDecideErrs simulates trials that are decided every second, and counts the wrong verdicts.
func TestDecideErrs(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	rolledBack := func(trialErrors, otherErrors float64) int {
		n := 0
		for range 200 {
			var trial, other Sample
			for second := range 601 {
				for range 20 {
					s, share := &other, otherErrors
					if random.IntN(20) == 0 {
						s, share = &trial, trialErrors
					}
					if s.Requests++; random.Float64() < share {
						s.Errors++
					}
				}
				if verdict, _ := Decide(running(), trial, other, began.Add(time.Duration(second)*time.Second)); verdict != Wait {
					if verdict == RollBack {
						n++
					}
					break
				}
			}
		}
		return n
	}
	equal, worse := rolledBack(0.02, 0.02), rolledBack(0.10, 0.02)
	t.Logf("of 200 trials of 600 requests, equal versions: %d rolled back; 10%% against 2%% errors: %d", equal, worse)
	require.Less(t, equal, 10)
	require.Greater(t, worse, 190)
}

func TestSample(t *testing.T) {
	var c counts
	for i := range 100 {
		rec := &accesslog.Record{Status: 200, TTFB: time.Duration(i+1) * time.Millisecond, QueueWait: time.Hour, BodyWait: -time.Hour}
		if i == 50 {
			rec.Status = 500
		}
		c.add(rec)
	}
	for _, outcome := range []accesslog.Outcome{accesslog.OutcomeNoCapacity, accesslog.OutcomeNotReady, accesslog.OutcomeClientGone} {
		c.add(&accesslog.Record{Status: 503, Result: accesslog.Result{Outcome: outcome}})
	}
	s := c.sample()
	require.EqualValues(t, 100, s.Requests)
	require.EqualValues(t, 1, s.Errors)
	require.InDelta(t, 96, float64(s.P95)/1e6, 96./8)
}

func BenchmarkListenWithoutCanary(b *testing.B) {
	j := New(nil)
	rec := &accesslog.Record{Service: "/a", Number: 1}
	for b.Loop() {
		j.Listen(rec)
	}
}
