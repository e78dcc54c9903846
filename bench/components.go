package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/bench/internal/load"
	"github.com/vespo-dev/vespo/bench/internal/report"
)

// componentGuest is a component that says hello, its project's template, and what replaces a file of that.
type componentGuest struct {
	name     string
	title    string
	template string
	file     string // replaced by text; empty: none
	text     string
	goal     time.Duration // engine time of a request with its reset
}

var componentGuests = []componentGuest{
	{name: "rust", title: "Rust", template: "rust-component", goal: 30 * time.Microsecond},
	{name: "c", title: "C", template: "c-component", goal: 30 * time.Microsecond},
	{name: "go", title: "standard Go, net/http", template: "go-component", goal: 120 * time.Microsecond},
	{name: "js", title: "a worker in JavaScript", template: "js", file: "src/index.js", text: worker, goal: 400 * time.Microsecond},
}

// worker is the script that Node.js and workerd run, too.
const worker = `export default {
  async fetch(request) {
    return new Response(` + "`hello from ${new URL(request.url).pathname}\\n`" + `);
  },
};
`

// Names of the rows. jco's server has no other way to a fresh state than a new instance.
const (
	rowJcoName  = "jco serve"
	rowJco      = rowJcoName + ", shared state"
	rowJcoFresh = rowJcoName + ", fresh instance"
	rowNode     = "Node.js, shared state"
	rowWorkerd  = "workerd, shared state"
)

// components measures each component that can be built here beside the servers that can run it.
func (b *bench) components(ctx context.Context) error {
	var built []componentGuest
	missing := false
	absent := &report.Table{Title: "Components that are absent", Header: []string{"component", "reason"}}
	for _, g := range componentGuests {
		if !slices.Contains(b.guests, g.name) {
			continue
		}
		if err := b.buildComponent(ctx, g); err != nil {
			missing = true
			absent.Add(g.title, lastLine(err))
			continue
		}
		built = append(built, g)
	}
	if missing {
		if err := absent.Write(b.out); err != nil {
			return err
		}
	}
	if len(built) == 0 {
		return nil
	}
	if err := b.engineTimes(ctx, built); err != nil {
		return err
	}
	vespo, err := b.startVespo(ctx, filepath.Join(b.dir, "components"))
	if err != nil {
		return err
	}
	for _, g := range built {
		if _, err = vespo.add(ctx, g.name, b.modules[g.name], nil); err != nil {
			break
		}
		if err = b.compareComponent(ctx, g, vespo); err != nil {
			break
		}
	}
	return errors.Join(err, vespo.stop())
}

// compareComponent measures one component on all servers in turn.
func (b *bench) compareComponent(ctx context.Context, g componentGuest, vespo *server) (err error) {
	all := []*contender{{name: rowVespo, server: vespo}}
	defer func() { err = errors.Join(err, closeAll(all, 1)) }()
	w := workload{title: g.title, path: "/" + g.name, answer: "hello from /" + g.name + "\n"}
	var notes []string
	for _, p := range b.componentPeers(g) {
		s, err := p.start(ctx)
		c := &contender{name: p.name, server: s}
		c.dial = func() (*load.Client, error) { return load.Dial(c.addr, w.path, b.connections) }
		if err == nil {
			all = append(all, c)
			err = b.prepare(c, w)
		}
		if err != nil {
			notes = append(notes, fmt.Sprintf("Absent: %s: %s.", p.name, lastLine(err)))
		}
	}
	if err := b.prepare(all[0], w); err != nil {
		return err
	}
	measured := all[:0:0]
	for _, c := range all {
		if c.warm {
			measured = append(measured, c)
		}
	}
	if err := b.interleave(ctx, measured); err != nil {
		return err
	}
	t := &report.Table{
		Title:  "Components: " + g.title,
		Header: []string{"server", "requests/s", "+-", "x vespo", "p50", "p99", "cpu/request", "x vespo"},
		Notes:  notes,
	}
	for _, c := range measured {
		t.Add(c.cells(all[0])...)
	}
	return t.Write(b.out)
}

// engineTimes measures requests in a warm instance without the network: exchange, guest, reset.
func (b *bench) engineTimes(ctx context.Context, built []componentGuest) error {
	dir, err := b.componentFiles(built)
	if err != nil {
		return err
	}
	results, err := b.goBench(ctx, "./services/kinds/wasm", "^BenchmarkComponents$",
		"-benchtime", b.round.String(), "-count", fmt.Sprint(b.rounds), "-args", "-components", dir)
	if err != nil {
		return err
	}
	t := &report.Table{
		Title:  "Components: engine time of a request with its reset",
		Header: []string{"component", "time", "+-", "best", "allocations", "dirty"},
		Notes:  []string{"One request after another in a warm instance, without the network. dirty is the memory that a request changes. The best of the runs counts for the goals."},
	}
	for _, g := range built {
		m, ok := results["Components/"+g.name]
		if !ok {
			return fmt.Errorf("the benchmark has not measured %s", g.name)
		}
		times := m["ns/op"]
		t.Add(g.title, report.Seconds(times.Median()/1e9), report.Percent(times.Spread()), report.Seconds(times.Best()/1e9),
			report.Number(m["allocs/op"].Median()), report.Number(m["dirty-KiB"].Median())+" KiB")
		b.goals = append(b.goals, report.AtMost("component, "+g.title+", engine time with reset in us",
			float64(g.goal.Microseconds()), times.Best()/1e3, "%.0f"))
	}
	return t.Write(b.out)
}

// lastLine returns the last line of an error, which is the reason when a tool has failed.
func lastLine(err error) string {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	return strings.TrimSuffix(strings.TrimSpace(lines[len(lines)-1]), ".")
}
