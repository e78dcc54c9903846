package main

import (
	"context"
	"fmt"
	"math"

	"github.com/vespo-dev/vespo/bench/internal/report"
)

// benchRuns is the -count of the go command's benchmarks. The best run counts.
const benchRuns = "5"

// isolation reports the cost of fresh state for a request without HTTP, from the engine's benchmarks.
func (b *bench) isolation(ctx context.Context) error {
	all, err := b.goBench(ctx, "./runtime/engine", "^BenchmarkRequest$", "-count", benchRuns, "-benchtime", (b.round / 4).String())
	if err != nil {
		return err
	}
	t := &report.Table{Title: "Fresh state for a request, without HTTP",
		Header: []string{"guest", "reset", "dirty", "call + reset", "allocs", "wazero, fresh instance", "allocs", "factor"},
		Notes: []string{"call + reset is one call of the guest in an instance that is brought back in place; the host functions do next to " +
			"nothing. The other side is InstantiateModule, the same call, and Close. reset includes two looks at the clock. The best of " + benchRuns + " runs."}}
	for _, g := range []struct {
		name, key string
		limit     float64 // limit of a reset, in microseconds; 0: no goal
	}{{"hello, written by hand", "tiny", 1}, {"hello, standard Go", "gohello", 5}, {"standard Go with net/http", "gonethttp", 0}} {
		reset, fresh := all["Request/"+g.key+"/reset"], all["Request/"+g.key+"/fresh"]
		if reset == nil || fresh == nil {
			return fmt.Errorf("the benchmarks of the engine have no guest %q", g.key)
		}
		ns := func(m report.Metrics, unit string) string { return report.Seconds(m[unit].Best() / 1e9) }
		allocs := reset["allocs/op"].Median()
		t.Add(g.name, ns(reset, "reset-ns"), fmt.Sprintf("%.0f KiB", reset["dirty-KiB"].Median()), ns(reset, "ns/op"), report.Number(allocs),
			ns(fresh, "ns/op"), report.Number(fresh["allocs/op"].Median()), report.Number(fresh["ns/op"].Best()/reset["ns/op"].Best()))
		if g.limit > 0 {
			b.goals = append(b.goals, report.AtMost("reset of "+g.name, g.limit, reset["reset-ns"].Best()/1e3, "%.2f us"),
				report.AtMost("allocations of call and reset, "+g.name, 0, allocs, "%.0f"))
		}
	}
	return t.Write(b.out)
}

// metering reports the cost of the stop checks in real work, from the rewriter's benchmarks.
func (b *bench) metering(ctx context.Context) error {
	all, err := b.goBench(ctx, "./runtime/internal/rewrite", "^BenchmarkMeteringGo$", "-count", benchRuns, "-benchtime", b.round.String())
	if err != nil {
		return err
	}
	t := &report.Table{
		Title:  "Stop checks: work of a standard-Go guest, rewritten",
		Header: []string{"work", "plain", "rewritten", "ratio"},
		Notes:  []string{"The best time of each, in turn, in one process; the median of " + benchRuns + " runs."},
	}
	product, worst, n := 1.0, 0.0, 0
	for _, work := range []string{"json", "sort", "regexp", "sha256", "sieve"} {
		m := all["MeteringGo/"+work]
		if m == nil {
			return fmt.Errorf("the benchmarks of the rewriter have no work %q", work)
		}
		ratio, plain := m["x-plain"].Median(), m["plain-ns"].Best()/1e9
		t.Add(work, report.Seconds(plain), report.Seconds(plain*ratio), fmt.Sprintf("%.2f", ratio))
		product *= ratio
		worst = max(worst, ratio)
		n++
	}
	mean := math.Pow(product, 1/float64(n))
	t.Add("geometric mean", "", "", fmt.Sprintf("%.2f", mean))
	b.goals = append(b.goals, report.AtMost("stop checks, geometric mean", 1.10, mean, "%.2f x"),
		report.AtMost("stop checks, worst", 1.30, worst, "%.2f x"))
	return t.Write(b.out)
}
