package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/bench/internal/load"
	"github.com/vespo-dev/vespo/bench/internal/report"
)

const (
	// idleFlag is a short --idle value, so that services become idle while the benchmark waits.
	idleFlag = "500ms"
	// idleTimeout limits that wait.
	idleTimeout = time.Minute
	idlePoll    = 20 * time.Millisecond
	// returnTime is longer than a server waits after an eviction before it returns memory to the system.
	returnTime = 3 * time.Second
)

// unitsService is the guest in C of bench/guests/units.
const unitsService = "units"

// starting is a workload of the table of starts.
type starting struct {
	workload
	limit float64 // the goal of its first request after an eviction, in ms; 0: none
}

// startings returns the workloads of the table of starts. The guest in C is absent, with the reason, if it cannot be built.
func (b *bench) startings(ctx context.Context) (all []starting, absent string) {
	goals := []float64{0, 15, 40} // of workloads; for hello, that of a larger module says more
	for i, w := range workloads {
		all = append(all, starting{w, goals[i]})
	}
	file := filepath.Join(b.dir, unitsService+".wasm")
	source := filepath.Join(b.root, "bench", "guests", unitsService, "main.c")
	err := b.tool(ctx, b.dir, "clang", "--target=wasm32-wasi", "-mexec-model=reactor", "-O2", "-s", "-o", file, source)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return all, "clang is not installed"
	case err != nil:
		return all, "clang, lld, wasi-libc and compiler-rt for wasm32 are needed"
	}
	b.modules[unitsService] = file
	units := workload{unitsService, "units in C, with C's library", "/units?value=5&from=km&to=mi", "hello 5 km is 3.11 mi\n"}
	return slices.Insert(all, 1, starting{units, 3}), ""
}

// start measures deploys, restarts and wake-ups.
func (b *bench) start(ctx context.Context) error {
	all, absent := b.startings(ctx)
	deploys, siblings, restart, err := b.deploys(ctx, all)
	if err != nil {
		return err
	}
	wakes, err := b.wakes(ctx, all)
	if err != nil {
		return err
	}
	t := &report.Table{
		Title:  "Starts",
		Header: []string{"what", "module", "deploy", "deploy of other data", "first request after idle", "at once after eviction", "later"},
		Notes: []string{
			fmt.Sprintf("Medians of %d. A deploy compiles, initialises, takes the snapshot and writes all of it to disk. An idle service has no "+
				"instance, an evicted one no compiled code in memory either. Later is %v after the eviction, when the server has returned memory to the system. "+
				"The rows take turns in being asked first.", b.repeats, returnTime),
			"Other data: a module that differs in data alone from one that is served. It shares the compiled code.",
			"Start of a server with all of these, compiled code on disk, until the last of them has answered: " +
				report.Seconds(restart.Median()) + ".",
		},
	}
	if absent != "" {
		t.Notes = append(t.Notes, "Absent: a guest in C: "+absent+".")
	}
	for _, w := range all {
		module, err := b.module(ctx, w.service)
		if err != nil {
			return err
		}
		info, err := os.Stat(module)
		if err != nil {
			return err
		}
		t.Add(w.title, report.MiB(float64(info.Size())), report.Seconds(deploys[w.service].Median()), report.Seconds(siblings[w.service].Median()),
			report.Seconds(wakes.idle[w.service].Median()), report.Seconds(wakes.evicted[w.service].Median()), report.Seconds(wakes.later[w.service].Median()))
		if w.limit > 0 {
			b.goals = append(b.goals, report.AtMost(w.title+", first request after an eviction, ms", w.limit, 1000*wakes.evicted[w.service].Median(), "%.1f"),
				report.AtMost(w.title+", later, ms", w.limit, 1000*wakes.later[w.service].Median(), "%.1f"))
		}
	}
	return t.Write(b.out)
}

// startsDir returns the data directory of the i-th run of deploys.
func (b *bench) startsDir(i int) string { return filepath.Join(b.dir, fmt.Sprint("starts-", i)) }

// deploys measures deploys to empty data directories, each followed by that of the module's sibling, and restarts on them.
func (b *bench) deploys(ctx context.Context, all []starting) (deploys, siblings map[string]report.Sample, restart report.Sample, err error) {
	deploys, siblings = map[string]report.Sample{}, map[string]report.Sample{}
	for i := range b.repeats {
		s, err := b.startVespo(ctx, b.startsDir(i))
		if err != nil {
			return nil, nil, nil, err
		}
		for _, w := range all {
			first, second, err := b.deployTwice(ctx, s, w.service)
			if err != nil {
				return nil, nil, nil, errors.Join(err, s.stop())
			}
			deploys[w.service] = append(deploys[w.service], first.Seconds())
			siblings[w.service] = append(siblings[w.service], second.Seconds())
		}
		if err := s.stop(); err != nil {
			return nil, nil, nil, err
		}
		took, err := b.restart(ctx, b.startsDir(i), all)
		if err != nil {
			return nil, nil, nil, err
		}
		restart = append(restart, took.Seconds())
	}
	return deploys, siblings, restart, nil
}

// deployTwice deploys a service and its sibling, and returns the times taken.
func (b *bench) deployTwice(ctx context.Context, s *server, service string) (first, second time.Duration, err error) {
	module, err := b.module(ctx, service)
	if err != nil {
		return 0, 0, err
	}
	sibling, err := b.sibling(module)
	if err != nil {
		return 0, 0, err
	}
	if first, err = s.add(ctx, service, module, nil); err != nil {
		return 0, 0, err
	}
	second, err = s.add(ctx, service+"-sibling", sibling, nil)
	return first, second, err
}

// sibling returns the file of a module that differs from another one in data alone: in the greeting.
func (b *bench) sibling(file string) (string, error) {
	module, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	other := bytes.Replace(module, []byte("hello "), []byte("jello "), 1)
	if bytes.Equal(module, other) {
		return "", fmt.Errorf("%s contains no greeting", file)
	}
	to := filepath.Join(b.dir, "sibling-"+filepath.Base(file))
	return to, os.WriteFile(to, other, 0o600)
}

// restart starts a server, makes a request to each of its services, and returns the time taken.
func (b *bench) restart(ctx context.Context, data string, all []starting) (took time.Duration, err error) {
	began := time.Now()
	s, err := b.startVespo(ctx, data)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	for _, w := range all {
		if _, err := s.ask(w.workload); err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

// ask makes one request on a new connection and returns the time taken.
func (s *server) ask(w workload) (took time.Duration, err error) {
	c, err := load.Dial(s.addr, w.path, 1)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	began := time.Now()
	status, answer, err := c.Get()
	took = time.Since(began)
	if err == nil && (status != 200 || answer != w.answer) {
		err = fmt.Errorf("answered %d %q to %s", status, answer, w.path)
	}
	return took, err
}

// waking has the times of first requests, by service.
type waking struct {
	idle, evicted, later map[string]report.Sample // seconds
}

// wakes measures the first requests after services became idle or were evicted.
func (b *bench) wakes(ctx context.Context, all []starting) (_ *waking, err error) {
	w := &waking{map[string]report.Sample{}, map[string]report.Sample{}, map[string]report.Sample{}}
	s, err := b.startVespo(ctx, b.startsDir(0), "--idle", idleFlag)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	for i := range b.repeats {
		turn := i % len(all)
		order := slices.Concat(all[turn:], all[:turn])
		if err := s.askAll(order, map[string]report.Sample{}); err != nil { // an evicted service, as all are after a start, does not become idle
			return nil, err
		}
		for _, state := range []struct {
			name  string
			pause time.Duration
			times map[string]report.Sample
		}{{"idle", 0, w.idle}, {"evicted", 0, w.evicted}, {"evicted", returnTime, w.later}} {
			for _, w := range all {
				if err := s.await(ctx, w.service, state.name); err != nil {
					return nil, err
				}
			}
			time.Sleep(state.pause)
			if err := s.askAll(order, state.times); err != nil {
				return nil, err
			}
		}
	}
	return w, nil
}

// askAll makes one request to each service, and adds the times taken.
func (s *server) askAll(all []starting, times map[string]report.Sample) error {
	for _, w := range all {
		took, err := s.ask(w.workload)
		if err != nil {
			return err
		}
		times[w.service] = append(times[w.service], took.Seconds())
	}
	return nil
}

// await waits until a service is in the given state.
func (s *server) await(ctx context.Context, service, state string) error {
	ctx, cancel := context.WithTimeout(ctx, idleTimeout)
	defer cancel()
	for {
		now, err := s.state(ctx, service)
		if err != nil || now == state {
			return err
		}
		time.Sleep(idlePoll)
	}
}
