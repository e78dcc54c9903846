package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/vespo-dev/vespo/bench/internal/report"
)

// Names of the rows.
const (
	rowUncounted = "nothing counted"
	rowCounted   = "metrics, statistics, sums and logs"
)

// Turns are shorter than in other tables, and more: the differences are small. Processes of one program differ by some percent, as
// their memory lies elsewhere, so several pairs of processes take part.
const (
	pairs       = 6
	moreTurns   = 4
	shorterTurn = 8
)

// price measures hello on servers that count and log requests, and on those built without that.
func (b *bench) price(ctx context.Context) error {
	uncounted := *b
	uncounted.vespo = filepath.Join(b.dir, "uncounted")
	if err := b.build(ctx, uncounted.vespo, nil, "-tags", "uncounted", modulePath+"/cmd/vespo"); err != nil {
		return err
	}
	turns := *b.config
	turns.rounds, turns.round = moreTurns*b.rounds, b.round/shorterTurn
	both := []*contender{{name: rowUncounted}, {name: rowCounted}}
	for pair := range pairs {
		if err := b.pricePair(ctx, &turns, pair, both, []*bench{&uncounted, b}); err != nil {
			return err
		}
	}
	return b.writePrice(&turns, both)
}

// pricePair adds the measurements of a pair of processes.
func (b *bench) pricePair(ctx context.Context, turns *config, pair int, both []*contender, from []*bench) (err error) {
	var started []*contender
	defer func() { err = errors.Join(err, closeAll(started, 0)) }()
	hello := workloads[0]
	for i := range both {
		i = (i + pair) % len(both)
		c := both[i]
		c.client = nil
		if c.server, err = from[i].startVespo(ctx, filepath.Join(b.dir, fmt.Sprintf("price-%d-%d", pair, i))); err != nil {
			return err
		}
		started = append(started, c)
		module, err := b.module(ctx, hello.service)
		if err == nil {
			_, err = c.add(ctx, hello.service, module, nil)
		}
		if err == nil {
			err = b.prepare(c, hello)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return (&bench{config: turns}).interleave(ctx, both)
}

func (b *bench) writePrice(turns *config, all []*contender) error {
	t := &report.Table{Title: "The price of counting and logging requests: hello, written by hand",
		Header: []string{"server", "requests/s", "+-", "x", "p50", "p99", "cpu/request", "x"},
		Notes: []string{fmt.Sprintf("%d connections; %d pairs of processes, %d turns of %v of each. The first program is built without the listeners of requests (-tags uncounted).",
			turns.connections, pairs, turns.rounds, turns.round)},
	}
	for _, c := range all {
		t.Add(c.cells(all[0])...)
	}
	b.goals = append(b.goals,
		report.AtLeast("counting and logging: requests/s as a part of those without", 0.95, all[1].perSecond.Over(all[0].perSecond).Median(), "%.3f"),
		report.AtMost("counting and logging: processor time as a multiple of that without", 1.05, all[1].cpu.Over(all[0].cpu).Median(), "%.3f"))
	return t.Write(b.out)
}
