package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
)

// start measures deploys, restarts and wake-ups.
func (b *bench) start(ctx context.Context) error {
	deploys, siblings, restart, err := b.deploys(ctx)
	if err != nil {
		return err
	}
	idle, evicted, err := b.wakes(ctx)
	if err != nil {
		return err
	}
	t := &report.Table{
		Title:  "Starts",
		Header: []string{"what", "module", "deploy", "deploy of other data", "first request after idle", "after eviction"},
		Notes: []string{
			fmt.Sprintf("Medians of %d. A deploy compiles, initialises, takes the snapshot and writes all of it to disk. An idle service has no "+
				"instance, an evicted one no compiled code in memory either.", b.repeats),
			"Other data: a module that differs in data alone from one that is served. It shares the compiled code.",
			"Start of a server with all of these, compiled code on disk, until the last of them has answered: " +
				report.Seconds(restart.Median()) + ".",
		},
	}
	for _, w := range workloads {
		module, err := b.module(ctx, w.service)
		if err != nil {
			return err
		}
		info, err := os.Stat(module)
		if err != nil {
			return err
		}
		t.Add(w.title, report.MiB(float64(info.Size())), report.Seconds(deploys[w.service].Median()), report.Seconds(siblings[w.service].Median()), report.Seconds(idle[w.service].Median()),
			report.Seconds(evicted[w.service].Median()))
	}
	return t.Write(b.out)
}

// startsDir returns the data directory of the i-th run of deploys.
func (b *bench) startsDir(i int) string { return filepath.Join(b.dir, fmt.Sprint("starts-", i)) }

// deploys measures deploys to empty data directories, each followed by that of the module's sibling, and restarts on them.
func (b *bench) deploys(ctx context.Context) (deploys, siblings map[string]report.Sample, restart report.Sample, err error) {
	deploys, siblings = map[string]report.Sample{}, map[string]report.Sample{}
	for i := range b.repeats {
		s, err := b.startVespo(ctx, b.startsDir(i))
		if err != nil {
			return nil, nil, nil, err
		}
		for _, w := range workloads {
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
		took, err := b.restart(ctx, b.startsDir(i))
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
func (b *bench) restart(ctx context.Context, data string) (took time.Duration, err error) {
	began := time.Now()
	s, err := b.startVespo(ctx, data)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	for _, w := range workloads {
		if _, err := s.ask(w); err != nil {
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

// wakes measures the first requests after services became idle or were evicted.
func (b *bench) wakes(ctx context.Context) (idle, evicted map[string]report.Sample, err error) {
	idle, evicted = map[string]report.Sample{}, map[string]report.Sample{}
	s, err := b.startVespo(ctx, b.startsDir(0), "--idle", idleFlag)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	for range b.repeats {
		for _, w := range workloads {
			if _, err := s.ask(w); err != nil { // an evicted service, as all are after a start, does not become idle
				return nil, nil, err
			}
		}
		for _, state := range []struct {
			name  string
			times map[string]report.Sample
		}{{"idle", idle}, {"evicted", evicted}} {
			for _, w := range workloads {
				if err := s.await(ctx, w.service, state.name); err != nil {
					return nil, nil, err
				}
			}
			for _, w := range workloads {
				took, err := s.ask(w)
				if err != nil {
					return nil, nil, err
				}
				state.times[w.service] = append(state.times[w.service], took.Seconds())
			}
		}
	}
	return idle, evicted, nil
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
