package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/vespo-dev/vespo/bench/internal/load"
	"github.com/vespo-dev/vespo/bench/internal/report"
)

const (
	// fewServices is the number of services that many are compared with.
	fewServices = 10
	// mostDeploys is the number of deploys beside many services, one after the other.
	mostDeploys = 100
	// lookups is the number of requests whose median is compared.
	lookups = 2000
)

// smallServices measures a server with many small services.
func (b *bench) smallServices(ctx context.Context, t *report.Table) error {
	n := smallFactor * b.services
	module, err := b.module(ctx, workloads[0].service)
	if err != nil {
		return err
	}
	few, err := b.fewLookups(ctx, module)
	if err != nil {
		return err
	}
	dir := filepath.Join(b.dir, "small")
	file, err := declare(dir, module, "hello", n)
	if err != nil {
		return err
	}
	data := filepath.Join(dir, "data")
	s, took, err := b.started(ctx, data, "--config-file", file.path)
	if err != nil {
		return err
	}
	t.Add(fmt.Sprintf("%d small services: first start, which deploys them", n), report.Seconds(took.Seconds()))
	if err := s.stop(); err != nil {
		return err
	}
	began := time.Now()
	s, took, err = b.started(ctx, data, "--config-file", file.path)
	if err != nil {
		return err
	}
	defer func() { _ = s.stop() }()
	if err := s.call(ctx, "GET", fmt.Sprintf("/s%d", n-1), nil, nil); err != nil {
		return err
	}
	t.Add("start", report.Seconds(took.Seconds()))
	t.Add("start, and the answer of the last of them", report.Seconds(time.Since(began).Seconds()))
	b.goals = append(b.goals, report.AtMost("start with small services, s", 5, took.Seconds(), "%.1f"))
	for _, measure := range []func() error{
		func() error { return b.manyLookups(s, t, few) },
		func() error { return b.views(ctx, s, t) },
		func() error { return b.changes(ctx, s, t, file) },
	} {
		if err := measure(); err != nil {
			return err
		}
	}
	return nil
}

// fewLookups returns the time of a request to a server with few services.
func (b *bench) fewLookups(ctx context.Context, module string) (took float64, err error) {
	file, err := declare(filepath.Join(b.dir, "few"), module, "hello", fewServices)
	if err != nil {
		return 0, err
	}
	s, _, err := b.started(ctx, filepath.Join(b.dir, "few", "data"), "--config-file", file.path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	return s.lookup("/s0")
}

// lookup returns the median time of a warm request.
func (s *server) lookup(path string) (took float64, err error) {
	c, err := load.Dial(s.addr, path, 1)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	for range 2 { // the first run warms
		r, err := c.Run(load.Bound{Requests: lookups})
		if err != nil {
			return 0, err
		}
		took = r.Latencies.Quantile(0.5).Seconds()
	}
	return took, nil
}

func (b *bench) manyLookups(s *server, t *report.Table, few float64) error {
	first, err := s.lookup("/s0")
	if err != nil {
		return err
	}
	last, err := s.lookup(fmt.Sprintf("/s%d", smallFactor*b.services-1))
	if err != nil {
		return err
	}
	t.Add(fmt.Sprintf("a warm request to the first of them, to the last, to one of %d", fewServices),
		report.Seconds(first)+", "+report.Seconds(last)+", "+report.Seconds(few))
	return nil
}

// views measures what operators look at.
func (b *bench) views(ctx context.Context, s *server, t *report.Table) error {
	held, err := b.hold(ctx, s)
	if err != nil {
		return err
	}
	t.Add("memory, descriptors, goroutines of the server", fmt.Sprintf("%s, %.0f, %.0f", report.MiB(held.memory), held.descriptors, held.goroutines))
	for _, view := range []string{"/services/list", "/services/stats", "/services/metrics", "/services/usage"} {
		size, took, err := s.view(ctx, view)
		if err != nil {
			return err
		}
		t.Add("GET "+view, fmt.Sprintf("%s, %s", report.MiB(float64(size)), report.Seconds(took.Seconds())))
	}
	began := time.Now()
	if text, err := exec.CommandContext(ctx, b.vespo, "list", "--server", "http://"+s.addr).CombinedOutput(); err != nil {
		return fmt.Errorf("vespo list: %w\n%s", err, text)
	}
	t.Add("vespo list", report.Seconds(time.Since(began).Seconds()))
	return nil
}

// view requests a page of the server, and returns its size.
func (s *server) view(ctx context.Context, path string) (size int64, took time.Duration, err error) {
	began := time.Now()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url(path), nil)
	if err != nil {
		return 0, 0, err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, 0, err
	}
	defer res.Body.Close()
	size, err = io.Copy(io.Discard, res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", path, res.Status)
	}
	return size, time.Since(began), err
}

// changes measures changes beside many services.
func (b *bench) changes(ctx context.Context, s *server, t *report.Table, file *declared) error {
	if err := file.write("[[service]]\nprefix = \"extra\"\nmodule = \"modules/s0\"\n"); err != nil {
		return err
	}
	began := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	for s.call(ctx, "GET", "/extra", nil, nil) != nil {
		if time.Since(began) > declareTimeout {
			return errors.New("a changed configuration file is not applied in time")
		}
		time.Sleep(idlePoll)
	}
	applied := time.Since(began)
	t.Add("one more service in the configuration file", report.Seconds(applied.Seconds()))
	var deploys report.Sample
	for i := range min(mostDeploys, b.services) {
		began := time.Now()
		if err := s.call(ctx, "POST", fmt.Sprintf("/services/add?prefix=d%d", i), file.variant(90_000+i), nil); err != nil {
			return err
		}
		deploys = append(deploys, time.Since(began).Seconds())
	}
	var all float64
	for _, d := range deploys {
		all += d
	}
	t.Add("a deploy by the management API beside them", report.Seconds(deploys.Median()))
	t.Add(fmt.Sprintf("%d of these", len(deploys)), report.Seconds(all))
	b.goals = append(b.goals, report.AtMost("a configuration file with one more service is applied, s", 10, applied.Seconds(), "%.1f"))
	return nil
}
