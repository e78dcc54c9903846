package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/bench/internal/report"
)

// densityFlags gives the servers room for all files of compiled code and snapshots.
var densityFlags = []string{"--code-cache", "64GiB", "--log-level", "warn"}

// smallFactor is the number of small services for each one of Go.
const smallFactor = 10

// declareTimeout limits a first start, which deploys all services.
const declareTimeout = 15 * time.Minute

// settleTime is what a server has to return memory to the system, before it is measured.
const settleTime = 8 * time.Second

// density measures what services cost that are not used.
func (b *bench) density(ctx context.Context) error {
	t := &report.Table{
		Title:  "Density",
		Header: []string{"what", "measured"},
		Notes: []string{
			fmt.Sprintf("Services differ in their data. An evicted service is one of %d of standard Go with the SDK, after a start, against a server without services. "+
				"A warm one is one of them that has answered a request: memory of the process with and without it, its code and its snapshot included.", b.services),
			fmt.Sprintf("%d services are written by hand, of 280 bytes. They are declared in a configuration file: their start includes that it is applied.", smallFactor*b.services),
		},
	}
	if err := b.evictedServices(ctx, t); err != nil {
		return err
	}
	if err := b.smallServices(ctx, t); err != nil {
		return err
	}
	return t.Write(b.out)
}

// declare writes a configuration file with n services, which differ from a module in the text given, and returns its path.
func (b *bench) declare(dir, module, text string, n int) (string, error) {
	bin, err := os.ReadFile(module)
	if err != nil {
		return "", err
	}
	if !bytes.Contains(bin, []byte(text)) {
		return "", fmt.Errorf("%s does not contain %q", module, text)
	}
	if err := os.MkdirAll(filepath.Join(dir, "modules"), 0o755); err != nil {
		return "", err
	}
	var declared strings.Builder
	for i := range n {
		name := fmt.Sprintf("s%d", i)
		unlike := bytes.Replace(bin, []byte(text), fmt.Appendf(nil, "%0*d", len(text), i), 1)
		if err := os.WriteFile(filepath.Join(dir, "modules", name), unlike, 0o600); err != nil {
			return "", err
		}
		fmt.Fprintf(&declared, "[[service]]\nprefix = %q\nmodule = %q\n", name, filepath.Join("modules", name))
	}
	path := filepath.Join(dir, "vespo.toml")
	return path, os.WriteFile(path, []byte(declared.String()), 0o600)
}

// started starts a server, and returns it with the time until it is ready.
func (b *bench) started(ctx context.Context, data string, flags ...string) (*server, time.Duration, error) {
	began := time.Now()
	s, err := b.startVespo(ctx, data, append(flags, densityFlags...)...)
	if err != nil {
		return nil, 0, err
	}
	for s.call(ctx, "GET", "/services/ready", nil, nil) != nil {
		if time.Since(began) > declareTimeout {
			return nil, 0, errors.Join(errors.New("a server is not ready in time"), s.stop())
		}
		time.Sleep(idlePoll)
	}
	return s, time.Since(began), nil
}

// rest returns the memory of a server after it has returned some.
func (s *server) rest() (float64, error) {
	time.Sleep(settleTime)
	r, err := s.memory()
	return r.total, err
}

// evictedServices measures services of Go that are not loaded, and one that is.
func (b *bench) evictedServices(ctx context.Context, t *report.Table) error {
	w := workloads[1]
	module, err := b.module(ctx, w.service)
	if err != nil {
		return err
	}
	dir := filepath.Join(b.dir, "evicted")
	file, err := b.declare(dir, module, "hello ", b.services)
	if err != nil {
		return err
	}
	empty, _, err := b.started(ctx, filepath.Join(b.dir, "empty"))
	if err != nil {
		return err
	}
	before, err := empty.rest()
	if err := errors.Join(err, empty.stop()); err != nil {
		return err
	}
	first, _, err := b.started(ctx, filepath.Join(dir, "data"), "--config-file", file)
	if err != nil {
		return err
	}
	if err := first.stop(); err != nil {
		return err
	}
	s, took, err := b.started(ctx, filepath.Join(dir, "data"), "--config-file", file)
	if err != nil {
		return err
	}
	defer func() { _ = s.stop() }()
	evicted, err := s.rest()
	if err != nil {
		return err
	}
	if err := s.call(ctx, "GET", "/s7", nil, nil); err != nil {
		return err
	}
	warm, err := s.rest()
	if err != nil {
		return err
	}
	each := (evicted - before) / float64(b.services)
	t.Add("an evicted service, resident", fmt.Sprintf("%.1f KiB", each/1024))
	t.Add("a warm idle service, resident", report.MiB(warm-evicted))
	t.Add(fmt.Sprintf("start of a server with %d of them", b.services), report.Seconds(took.Seconds()))
	b.goals = append(b.goals, report.AtMost("an evicted service, KiB", 20, each/1024, "%.1f"),
		report.AtMost("a warm idle service, MiB", 6, (warm-evicted)/(1<<20), "%.1f"))
	return nil
}

// smallServices measures a server with many small services.
func (b *bench) smallServices(ctx context.Context, t *report.Table) error {
	module, err := b.module(ctx, workloads[0].service)
	if err != nil {
		return err
	}
	dir := filepath.Join(b.dir, "small")
	file, err := b.declare(dir, module, "hello", smallFactor*b.services)
	if err != nil {
		return err
	}
	for _, run := range []string{"first start, which deploys them", "start"} {
		s, took, err := b.started(ctx, filepath.Join(dir, "data"), "--config-file", file)
		if err != nil {
			return err
		}
		var lookups [2]report.Sample
		for i := range 2 * b.repeats * 10 {
			path := fmt.Sprintf("/s%d", i%2*(smallFactor*b.services-1))
			began := time.Now()
			if err := s.call(ctx, "GET", path, nil, nil); err != nil {
				return errors.Join(err, s.stop())
			}
			lookups[i%2] = append(lookups[i%2], time.Since(began).Seconds())
		}
		if err := s.stop(); err != nil {
			return err
		}
		t.Add(fmt.Sprintf("%d small services: %s", smallFactor*b.services, run), report.Seconds(took.Seconds()))
		if run == "start" {
			t.Add("a request to the first of them, and to the last", report.Seconds(lookups[0].Median())+", "+report.Seconds(lookups[1].Median()))
			b.goals = append(b.goals, report.AtMost("start with small services, s", 5, took.Seconds(), "%.1f"))
		}
	}
	return nil
}
