package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/bench/internal/load"
	"github.com/vespo-dev/vespo/bench/internal/peer"
	"github.com/vespo-dev/vespo/bench/internal/report"
)

// burst is the number of services that get their first request at the same moment.
const burst = 50

// coldBurst measures first requests to many services at once, beside as many processes that start.
func (b *bench) coldBurst(ctx context.Context, s *sheet) error {
	t := &report.Table{
		Title:  fmt.Sprintf("Cold burst: first answers of %d services at once", burst),
		Header: []string{"server", "state", "half have answered", "all have answered"},
	}
	dir := filepath.Join(b.dir, "burst")
	module, err := b.module(ctx, peer.SDKHello)
	if err != nil {
		return err
	}
	file, err := declare(dir, module, "hello ", burst)
	if err != nil {
		return err
	}
	if err := copyScripts(filepath.Join(b.dir, "js-alone")); err != nil {
		return err
	}
	half, all := map[string]report.Sample{}, map[string]report.Sample{}
	rows := []struct {
		name, state string
		run         func() ([]time.Duration, error)
	}{
		{"processes with net/http", stateShared, func() ([]time.Duration, error) { return b.burstOfProcesses(ctx, b.nativeProcess) }},
		{"Vespo, services that are not loaded", stateFresh, func() ([]time.Duration, error) { return b.burstOfServices(ctx, filepath.Join(dir, "data"), file.path) }},
		{"processes with Node.js", stateShared, func() ([]time.Duration, error) { return b.burstOfProcesses(ctx, b.nodeProcess) }},
	}
	for i := range b.repeats {
		for _, row := range rows {
			times, err := row.run()
			if err = errors.Join(ctx.Err(), err); err != nil {
				if i == 0 {
					t.Notes = append(t.Notes, fmt.Sprintf("Absent: %s: %s.", row.name, reason(err)))
				}
				continue
			}
			sample := make(report.Sample, len(times))
			for j, took := range times {
				sample[j] = took.Seconds()
			}
			half[row.name] = append(half[row.name], sample.Median())
			all[row.name] = append(all[row.name], sample.Worst())
		}
	}
	base := rows[0].name
	for _, row := range rows {
		if len(half[row.name]) == 0 {
			continue
		}
		t.Add(row.name, row.state, report.Times(half[row.name].Over(half[base])), report.Times(all[row.name].Over(all[base])))
		s.mark(chartCold, "half have answered", row.name, half[row.name].Over(half[base]).Median())
		s.mark(chartCold, "all have answered", row.name, all[row.name].Over(all[base]).Median())
	}
	t.Notes = append(t.Notes, fmt.Sprintf("1 is %s: half after %s, all after %s. %d bursts each. Services of Vespo are standard Go with the SDK; they were deployed "+
		"earlier, and are in files when the server starts. A process of the others serves one handler; the time includes its start.", base,
		report.Seconds(half[base].Median()), report.Seconds(all[base].Median()), b.repeats))
	s.add(t)
	return nil
}

// burstOfServices starts a server, and makes the first requests to all of its services.
func (b *bench) burstOfServices(ctx context.Context, data, file string) (times []time.Duration, err error) {
	if _, err := os.Stat(data); err != nil { // the first start deploys
		first, _, err := b.started(ctx, data, "--config-file", file)
		if err != nil {
			return nil, err
		}
		if err := first.stop(); err != nil {
			return nil, err
		}
	}
	s, _, err := b.started(ctx, data, "--config-file", file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	return atOnce(func(i int) error { return b.first(s.addr, fmt.Sprintf("/s%d", i)) })
}

// first makes one request on a new connection.
func (b *bench) first(addr, path string) error {
	c, err := load.Dial(addr, path, 1)
	if err != nil {
		return err
	}
	defer c.Close() // of use no more
	c.Patience(b.patience)
	status, answer, err := c.Get()
	if err == nil && (status != 200 || answer == "") {
		err = fmt.Errorf("answered %d %.80q", status, answer)
	}
	return err
}

// atOnce calls a function for each of the burst at the same time, and returns how long each took from the common start.
func atOnce(call func(int) error) ([]time.Duration, error) {
	times, errs := make([]time.Duration, burst), make([]error, burst)
	var all sync.WaitGroup
	began := time.Now()
	for i := range burst {
		all.Go(func() {
			errs[i] = call(i)
			times[i] = time.Since(began)
		})
	}
	all.Wait()
	return times, errors.Join(errs...)
}

// burstOfProcesses starts a process for each of the burst and makes its first request.
func (b *bench) burstOfProcesses(ctx context.Context, start func(context.Context) (*server, string, error)) ([]time.Duration, error) {
	servers := make([]*server, burst)
	times, err := atOnce(func(i int) error {
		s, path, err := start(ctx)
		if err != nil {
			return err
		}
		servers[i] = s
		return b.first(s.addr, path)
	})
	for _, s := range servers {
		if s != nil {
			_ = s.stop() // its figures exist
		}
	}
	return times, err
}

func (b *bench) nativeProcess(ctx context.Context) (*server, string, error) {
	s, err := b.startPeer(ctx, peer.Native, peer.SDKHello)
	return s, "/sdkhello", err
}

// nodeProcess starts Node.js without the processes for each processor.
func (b *bench) nodeProcess(ctx context.Context) (*server, string, error) {
	s, err := b.startNodeScript(ctx, filepath.Join(b.dir, "js-alone"), "alone")
	return s, "/hello", err
}
