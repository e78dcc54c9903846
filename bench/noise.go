package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/vespo-dev/vespo/bench/internal/load"
	"github.com/vespo-dev/vespo/bench/internal/peer"
	"github.com/vespo-dev/vespo/bench/internal/report"
)

// noise measures the latency of hello beside requests that use all processors.
func (b *bench) noise(ctx context.Context, s *sheet) error {
	t := &report.Table{
		Title:  fmt.Sprintf("Noisy neighbour: hello every %v beside %d requests that spin", neighbourPace, spinning()),
		Header: []string{"server", "state", "p50", "p99", "longest", "alone: p50", "p99", "longest"},
		Notes: []string{fmt.Sprintf("p50, p99 and longest are multiples of the same server's latency alone, which the last three columns have. Vespo stops a spinning "+
			"request after %v; the handlers of the others end by themselves after the same time. All are asked for again at once.", peer.SpinTime)},
	}
	vespo := func(b *bench, ctx context.Context, _ *task) (*server, error) { return b.startSpin(ctx) }
	native := func(b *bench, ctx context.Context, _ *task) (*server, error) {
		return b.startPeer(ctx, peer.Native, peer.Spin)
	}
	for _, r := range []rival{
		{name: rivalVespo, state: stateFresh, start: vespo},
		{name: rivalNative, state: stateShared, start: native},
		{name: rivalNode, state: stateShared, start: (*bench).startNodeHandlers},
		{name: rivalWorkerd, state: stateShared, start: (*bench).startWorkerdHandlers},
	} {
		alone, beside, err := b.disturbed(ctx, r)
		if err != nil {
			t.Notes = append(t.Notes, fmt.Sprintf("Absent: %s: %s.", r.name, reason(errors.Join(ctx.Err(), err))))
			continue
		}
		cells := []string{r.name, r.state}
		for _, figure := range latencies(&beside.Latencies, &alone.Latencies) {
			cells = append(cells, report.Number(figure.value))
			s.mark(chartLoud, figure.name, r.name, figure.value)
		}
		h := &alone.Latencies
		t.Add(append(cells, report.Time(h.Quantile(0.5)), report.Time(h.Quantile(0.99)), report.Time(h.Max()))...)
	}
	s.add(t)
	return nil
}

// disturbed measures a rival alone, and beside requests that spin.
func (b *bench) disturbed(ctx context.Context, r rival) (alone, beside *load.Result, err error) {
	server, err := r.start(b, ctx, helloTask())
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = server.stop() }() // its figures exist
	c, err := load.Dial(server.addr, "/hello", 1)
	if err != nil {
		return nil, nil, err
	}
	defer c.Close() // of use no more
	c.Patience(b.patience)
	if alone, err = c.Run(load.Bound{Duration: 4 * b.round, Pace: neighbourPace}); err != nil {
		return nil, nil, err
	}
	stop := spin(ctx, server)
	defer stop()
	if _, err := c.Run(load.Bound{Duration: b.round, Pace: neighbourPace}); err != nil { // until all of them spin
		return nil, nil, err
	}
	beside, err = c.Run(load.Bound{Duration: 10 * b.round, Pace: neighbourPace})
	return alone, beside, err
}

// ratio is a figure as a multiple of another one.
type ratio struct {
	name  string
	value float64
}

// latencies returns the ratios of two distributions.
func latencies(h, base *load.Histogram) []ratio {
	return []ratio{
		{"p50", h.Quantile(0.5).Seconds() / base.Quantile(0.5).Seconds()},
		{"p99", h.Quantile(0.99).Seconds() / base.Quantile(0.99).Seconds()},
		{"longest", h.Max().Seconds() / base.Max().Seconds()},
	}
}
