package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/vespo-dev/vespo/bench/internal/load"
	"github.com/vespo-dev/vespo/bench/internal/peer"
	"github.com/vespo-dev/vespo/bench/internal/report"
)

// workload is a service, the path to request, and the expected response body.
type workload struct {
	service string
	title   string
	path    string
	answer  string
}

var workloads = []workload{
	{peer.Hello, "hello, written by hand", "/hello", "hello from vespo\n"},
	{peer.SDKHello, "hello, standard Go with the SDK", "/sdkhello", "hello from /sdkhello\n"},
	{peer.GoNetHTTP, "standard Go with net/http and a mux", "/gonethttp/hello/world", "hello world\n"},
}

// contender is a server of a workload with its measurements.
type contender struct {
	*server
	name      string
	client    *load.Client
	perSecond report.Sample
	p50, p99  report.Sample // seconds
	cpu       report.Sample // seconds of processor time for one request
	warm      bool          // it has answered as expected
	// dial opens new connections before a round, for servers that close idle ones; nil: they are kept.
	dial func() (*load.Client, error)
}

// cells returns a row of a table, with ratios to another contender.
func (c *contender) cells(base *contender) []string {
	return []string{c.name, report.Number(c.perSecond.Median()), report.Percent(c.perSecond.Spread()),
		report.Number(c.perSecond.Over(base.perSecond).Median()), report.Seconds(c.p50.Median()), report.Seconds(c.p99.Median()),
		report.Seconds(c.cpu.Median()), report.Number(c.cpu.Over(base.cpu).Median())}
}

// closeAll closes the clients of contenders, and stops their servers from an index on.
func closeAll(all []*contender, stop int) (err error) {
	for i, c := range all {
		if c.client != nil {
			err = errors.Join(err, c.client.Close())
		}
		if i >= stop {
			err = errors.Join(err, c.stop())
		}
	}
	return err
}

// Names of the rows.
const (
	rowVespo     = "vespo"
	rowAccessLog = "vespo, access log on"
	rowNative    = "(a) native net/http"
	rowFresh     = "(b) wazero, fresh instance"
	rowShared    = "(c) wazero, shared, unsafe"
	rowHostGo    = "http-wasm-host-go, shared, unsafe"
)

// throughput measures each workload on all servers in turn.
func (b *bench) throughput(ctx context.Context) error {
	vespos, err := b.startBoth(ctx)
	if err != nil {
		return err
	}
	for _, w := range workloads {
		if err = b.compare(ctx, w, vespos); err != nil {
			break
		}
	}
	return errors.Join(err, stopAll(vespos))
}

// startBoth starts a Vespo without and one with an access log, with the services of all workloads.
func (b *bench) startBoth(ctx context.Context) ([]*server, error) {
	quiet := filepath.Join(b.dir, "quiet")
	s, err := b.startVespo(ctx, quiet)
	if err != nil {
		return nil, err
	}
	for _, w := range workloads {
		module, err := b.module(ctx, w.service)
		if err == nil {
			_, err = s.add(ctx, w.service, module, nil)
		}
		if err != nil {
			return nil, errors.Join(err, s.stop())
		}
	}
	logging := filepath.Join(b.dir, "logging")
	if err := os.CopyFS(logging, os.DirFS(quiet)); err != nil { // saves the compilation
		return nil, errors.Join(err, s.stop())
	}
	l, err := b.startVespo(ctx, logging, "--access-log", "text")
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return []*server{s, l}, nil
}

func (b *bench) compare(ctx context.Context, w workload, vespos []*server) (err error) {
	all := []*contender{{name: rowVespo, server: vespos[0]}, {name: rowAccessLog, server: vespos[1]}}
	defer func() { err = errors.Join(err, closeAll(all, len(vespos))) }()
	for _, p := range []struct {
		name string
		kind peer.Kind
	}{{rowNative, peer.Native}, {rowFresh, peer.Fresh}, {rowShared, peer.Shared}, {rowHostGo, peer.HostGo}} {
		s, err := b.startPeer(ctx, p.kind, w.service)
		if err != nil {
			return err
		}
		all = append(all, &contender{name: p.name, server: s})
	}
	for _, c := range all {
		if err := b.prepare(c, w); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	if err := b.interleave(ctx, all); err != nil {
		return err
	}
	return b.writeComparison(w, all)
}

// interleave measures contenders in turn, round after round.
func (b *bench) interleave(ctx context.Context, all []*contender) error {
	for round := range b.rounds {
		for i := range all {
			c := all[(i+round)%len(all)] // rotate the order, so that no server always follows the same one
			if err := errors.Join(ctx.Err(), c.measure(b.round)); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	return nil
}

// prepare connects, checks one response, and warms up the server.
func (b *bench) prepare(c *contender, w workload) error { return b.prepareBy(load.Dial, c, w) }

// prepareBy is prepare for another protocol.
func (b *bench) prepareBy(dial func(addr, path string, connections int) (*load.Client, error), c *contender, w workload) (err error) {
	if c.client, err = dial(c.addr, w.path, b.connections); err != nil {
		return err
	}
	status, answer, err := c.client.Get()
	if err != nil {
		return err
	}
	if status != 200 || answer != w.answer {
		return fmt.Errorf("answered %d %q to %s", status, answer, w.path)
	}
	_, err = c.client.Run(load.Bound{Duration: b.round / 2})
	c.warm = err == nil
	return err
}

// measure runs one server's part of a round.
func (c *contender) measure(during time.Duration) error {
	if c.dial != nil {
		client, err := c.dial()
		if err := errors.Join(err, c.client.Close()); err != nil {
			return err
		}
		c.client = client
	}
	before, err := c.server.cpu()
	if err != nil {
		return err
	}
	r, err := c.client.Run(load.Bound{Duration: during})
	if err != nil {
		return err
	}
	after, err := c.server.cpu()
	c.perSecond = append(c.perSecond, r.PerSecond())
	c.p50 = append(c.p50, r.Latencies.Quantile(0.5).Seconds())
	c.p99 = append(c.p99, r.Latencies.Quantile(0.99).Seconds())
	c.cpu = append(c.cpu, (after-before).Seconds()/float64(r.Requests))
	return err
}

func (b *bench) writeComparison(w workload, all []*contender) error {
	rows := map[string]*contender{}
	t := &report.Table{Title: "Requests: " + w.title,
		Header: []string{"server", "requests/s", "+-", "x (a)", "p50", "p99", "cpu/request", "x (a)"},
		Notes: []string{fmt.Sprintf("%d connections, each asks again when it is answered; %d rounds of %v. cpu is the server's alone, for one request.",
			b.connections, b.rounds, b.round)},
	}
	for _, c := range all {
		rows[c.name] = c
	}
	native := rows[rowNative]
	for _, c := range all {
		t.Add(c.cells(native)...)
	}
	vespo := rows[rowVespo]
	switch w.service {
	case peer.Hello:
		b.goals = append(b.goals, report.AtLeast("hello, requests/s as a part of (a)", 0.85,
			vespo.perSecond.Over(native.perSecond).Median(), "%.2f"))
	case peer.GoNetHTTP:
		b.goals = append(b.goals, report.AtLeast("standard Go with net/http, requests/s as a multiple of (b)", 10,
			vespo.perSecond.Over(rows[rowFresh].perSecond).Median(), "%.1f"))
	}
	return t.Write(b.out)
}
