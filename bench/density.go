package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/bench/internal/report"
)

// densityFlags make room for all files of compiled code and snapshots.
var densityFlags = []string{"--code-cache", "64GiB", "--log-level", "warn"}

// smallFactor is the number of small services for each one of Go.
const smallFactor = 10

// declareTimeout limits a first start, which deploys all services.
const declareTimeout = 15 * time.Minute

// settleRounds is the time, in rounds, that a server has to return memory to the system before it is measured.
const settleRounds = 16

// density measures what services cost that are not used.
func (b *bench) density(ctx context.Context) error {
	t := &report.Table{
		Title:  "Density",
		Header: []string{"what", "measured"},
		Notes: []string{
			fmt.Sprintf("Services differ in their data. An evicted service is one of %d of standard Go with the SDK, after a start, against a server without services. "+
				"A warm one is one of them that has answered a request: memory of the process with and without it, its code and its snapshot included. "+
				"Sizes on disk are those of the data directory, the module included.", b.services),
			fmt.Sprintf("%d small services are written by hand, of 280 bytes. They are declared in a configuration file: their start includes that it is applied. "+
				"Deploys by the management API come one after the other, each of a service of its own.", smallFactor*b.services),
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

// declared is a configuration file with services, which differ from a module in a text.
type declared struct {
	path    string
	dir     string // of the modules
	module  []byte
	text    []byte
	written strings.Builder
}

// declare writes a configuration file with n services.
func declare(dir, module, text string, n int) (*declared, error) {
	d := &declared{path: filepath.Join(dir, "vespo.toml"), dir: filepath.Join(dir, "modules"), text: []byte(text)}
	var err error
	if d.module, err = os.ReadFile(module); err != nil {
		return nil, err
	}
	if !bytes.Contains(d.module, d.text) {
		return nil, fmt.Errorf("%s does not contain %q", module, text)
	}
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return nil, err
	}
	for i := range n {
		if err := os.WriteFile(filepath.Join(d.dir, fmt.Sprintf("s%d", i)), d.variant(i), 0o600); err != nil {
			return nil, err
		}
		fmt.Fprintf(&d.written, "[[service]]\nprefix = \"s%d\"\nmodule = \"modules/s%d\"\n", i, i)
	}
	return d, d.write("")
}

// write writes the file, with a line at its end.
func (d *declared) write(line string) error {
	return os.WriteFile(d.path, []byte(d.written.String()+line), 0o600)
}

// variant returns the i-th module.
func (d *declared) variant(i int) []byte {
	return bytes.Replace(d.module, d.text, fmt.Appendf(nil, "%0*d", len(d.text), i), 1)
}

// started starts a server, and returns it with the time until it is ready.
func (b *bench) started(ctx context.Context, data string, flags ...string) (*server, time.Duration, error) {
	admin, err := freeAddress()
	if err != nil {
		return nil, 0, err
	}
	began := time.Now()
	s, err := b.startVespoWithin(ctx, declareTimeout, data, append(append(flags, densityFlags...), "--admin-listen", admin)...)
	if err != nil {
		return nil, 0, err
	}
	s.admin = admin
	for s.call(ctx, "GET", "/services/ready", nil, nil) != nil {
		if ctx.Err() != nil || time.Since(began) > declareTimeout {
			return nil, 0, errors.Join(ctx.Err(), errors.New("a server is not ready in time"), s.stop())
		}
		time.Sleep(idlePoll)
	}
	return s, time.Since(began), nil
}

// freeAddress returns an address on which nothing listens.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// holdings are the resources of a server.
type holdings struct {
	memory      float64 // bytes, resident
	descriptors float64
	goroutines  float64
}

// hold returns the resources of a server after it has returned some.
func (b *bench) hold(ctx context.Context, s *server) (h holdings, err error) {
	time.Sleep(settleRounds * b.round)
	r, err := s.memory()
	if err != nil {
		return h, err
	}
	h.memory = r.total
	if h.descriptors, err = descriptors(s.cmd.Process.Pid); err != nil {
		return h, err
	}
	h.goroutines, err = s.goroutines(ctx)
	return h, err
}

// evictedServices measures services of Go that are not loaded, and one that is.
func (b *bench) evictedServices(ctx context.Context, t *report.Table) error {
	module, err := b.module(ctx, workloads[1].service)
	if err != nil {
		return err
	}
	dir := filepath.Join(b.dir, "evicted")
	data := filepath.Join(dir, "data")
	file, err := declare(dir, module, "hello ", b.services)
	if err != nil {
		return err
	}
	empty, _, err := b.started(ctx, filepath.Join(b.dir, "empty"))
	if err != nil {
		return err
	}
	before, err := b.hold(ctx, empty)
	if err := errors.Join(err, empty.stop()); err != nil {
		return err
	}
	first, took, err := b.started(ctx, data, "--config-file", file.path)
	if err != nil {
		return err
	}
	t.Add(fmt.Sprintf("%d services of Go: first start, which deploys them", b.services), report.Seconds(took.Seconds()))
	if err := first.stop(); err != nil {
		return err
	}
	s, took, err := b.started(ctx, data, "--config-file", file.path)
	if err != nil {
		return err
	}
	t.Add("start", report.Seconds(took.Seconds()))
	defer func() { _ = s.stop() }()
	return b.reportEvicted(ctx, t, s, before, data)
}

// reportEvicted adds the rows of a server with evicted services. Before are the resources of a server without services.
func (b *bench) reportEvicted(ctx context.Context, t *report.Table, s *server, before holdings, data string) error {
	evicted, err := b.hold(ctx, s)
	if err != nil {
		return err
	}
	took, err := s.ask(workload{path: "/s7", answer: "000007from /s7\n"})
	if err != nil {
		return err
	}
	warm, err := b.hold(ctx, s)
	if err != nil {
		return err
	}
	n := float64(b.services)
	each := (evicted.memory - before.memory) / n
	t.Add("the first request of the first of them", report.Seconds(took.Seconds()))
	t.Add("an evicted service, resident", fmt.Sprintf("%.1f KiB", each/1024))
	t.Add("its descriptors and goroutines", fmt.Sprintf("%.2f, %.2f", (evicted.descriptors-before.descriptors)/n, (evicted.goroutines-before.goroutines)/n))
	for _, part := range []string{"blobs", "cache", "."} {
		size, err := diskBytes(filepath.Join(data, part))
		if err != nil {
			return err
		}
		t.Add("its disk space, "+part, fmt.Sprintf("%.1f KiB", size/n/1024))
	}
	t.Add("a warm idle service, resident", report.MiB(warm.memory-evicted.memory))
	b.goals = append(b.goals, report.AtMost("an evicted service, KiB", 20, each/1024, "%.1f"),
		report.AtMost("a warm idle service, MiB", 6, (warm.memory-evicted.memory)/(1<<20), "%.1f"))
	return nil
}
