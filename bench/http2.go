package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/vespo-dev/vespo/bench/internal/load"
	"github.com/vespo-dev/vespo/bench/internal/peer"
	"github.com/vespo-dev/vespo/bench/internal/report"
)

// http2 measures small answers over HTTP/2 without TLS.
func (b *bench) http2(ctx context.Context) error {
	vespo, err := b.startVespo(ctx, filepath.Join(b.dir, "http2"))
	if err != nil {
		return err
	}
	for _, w := range workloads[:2] {
		module, err := b.module(ctx, w.service)
		if err == nil {
			_, err = vespo.add(ctx, w.service, module, nil)
		}
		if err == nil {
			err = b.compareHTTP2(ctx, w, vespo)
		}
		if err != nil {
			return errors.Join(err, vespo.stop())
		}
	}
	return vespo.stop()
}

// compareHTTP2 measures a workload on Vespo and on net/http.
func (b *bench) compareHTTP2(ctx context.Context, w workload, vespo *server) (err error) {
	native, err := b.startPeer(ctx, peer.Native, w.service)
	if err != nil {
		return err
	}
	all := []*contender{{name: rowVespo, server: vespo}, {name: rowNative, server: native}}
	defer func() { err = errors.Join(err, closeAll(all, 1)) }()
	for _, c := range all {
		if err := b.prepareBy(load.DialHTTP2, c, w); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	if err := b.interleave(ctx, all); err != nil {
		return err
	}
	t := &report.Table{Title: "HTTP/2 without TLS: " + w.title,
		Header: []string{"server", "requests/s", "+-", "x (a)", "p50", "p99", "cpu/request", "x (a)"},
		Notes: []string{fmt.Sprintf("%d connections with one stream, each asks again when it is answered; %d rounds of %v. cpu is the server's alone, for one request.",
			b.connections, b.rounds, b.round)},
	}
	for _, c := range all {
		t.Add(c.cells(all[1])...)
	}
	b.goals = append(b.goals, report.AtMost("HTTP/2, "+w.title+": processor time as a multiple of net/http's", 1, all[0].cpu.Over(all[1].cpu).Median(), "%.2f"))
	return t.Write(b.out)
}
