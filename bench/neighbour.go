package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/bench/internal/load"
	"github.com/vespo-dev/vespo/bench/internal/peer"
	"github.com/vespo-dev/vespo/bench/internal/report"
)

// spinners are the paths of the guest spin, which burn a processor in different ways. They are
// requested on connections of their own.
var spinners = []string{"/spin/loop", "/spin/tree", "/spin/tail", "/spin/fill", "/spin/copy", "/spin/loop"}

// spinning is the number of requests that spin: more than there are processors.
func spinning() int { return max(len(spinners), 2*runtime.NumCPU()) }

// neighbourPace is the interval between the requests of the slow client.
const neighbourPace = 5 * time.Millisecond

// neighbour measures the latency of hello while another service uses all the processor time it can get.
func (b *bench) neighbour(ctx context.Context) error {
	t := &report.Table{Title: fmt.Sprintf("Noisy neighbour: hello beside %d requests that spin", spinning()),
		Header: []string{"server, one client", "alone p50", "p99", "max", "beside p50", "p99", "max", "requests beside"},
		Notes: []string{fmt.Sprintf("Each spinning request is stopped after %v and asked for again at once. The native server has goroutines that "+
			"loop instead: what Go's own scheduler makes of it.", peer.SpinTime)}}
	vespo, err := b.startSpin(ctx)
	if err != nil {
		return err
	}
	native, err := b.startPeer(ctx, peer.Native, peer.Spin)
	if err != nil {
		return errors.Join(err, vespo.stop())
	}
	for _, s := range []*server{vespo, native} {
		for _, pace := range []time.Duration{neighbourPace, 0} {
			err = errors.Join(err, b.disturb(ctx, t, s, pace))
		}
	}
	return errors.Join(err, stopAll([]*server{vespo, native}), t.Write(b.out))
}

func (b *bench) startSpin(ctx context.Context) (*server, error) {
	s, err := b.startVespo(ctx, filepath.Join(b.dir, "spin"))
	if err != nil {
		return nil, err
	}
	for service, options := range map[string]url.Values{peer.Hello: nil, peer.Spin: {"timeout": {peer.SpinTime.String()}}} {
		module, err := b.module(ctx, service)
		if err == nil {
			_, err = s.add(ctx, service, module, options)
		}
		if err != nil {
			return nil, errors.Join(err, s.stop())
		}
	}
	return s, nil
}

func (b *bench) disturb(ctx context.Context, t *report.Table, s *server, pace time.Duration) (err error) {
	name := s.name + ", back to back"
	if pace > 0 {
		name = fmt.Sprintf("%s, every %v", s.name, pace)
	}
	c, err := load.Dial(s.addr, "/hello", 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	alone, err := c.Run(load.Bound{Duration: 3 * b.round, Pace: pace})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	stop := spin(ctx, s)
	time.Sleep(b.round / 2) // until all of them spin
	beside, err := c.Run(load.Bound{Duration: 6 * b.round, Pace: pace})
	stop()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	cells := []string{name}
	for _, h := range []*load.Histogram{&alone.Latencies, &beside.Latencies} {
		cells = append(cells, report.Time(h.Quantile(0.5)), report.Time(h.Quantile(0.99)), report.Time(h.Max()))
	}
	t.Add(append(cells, fmt.Sprint(beside.Requests))...)
	return nil
}

// spin keeps all spinners running until stop is called. stop waits for their end.
func spin(ctx context.Context, s *server) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: spinning()}}
	var all sync.WaitGroup
	for i := range spinning() {
		path := spinners[i%len(spinners)]
		all.Go(func() {
			for ctx.Err() == nil {
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url(path), nil)
				if err != nil {
					return
				}
				if res, err := client.Do(r); err == nil { // failures do not matter here
					_, _ = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
				}
			}
		})
	}
	return func() {
		cancel()
		all.Wait()
		client.CloseIdleConnections()
	}
}
