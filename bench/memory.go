package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"github.com/vespo-dev/vespo/bench/internal/load"
	"github.com/vespo-dev/vespo/bench/internal/peer"
	"github.com/vespo-dev/vespo/bench/internal/report"
)

const (
	// firstRequests is the number of requests before the first measurement.
	firstRequests = 10_000
	// manyConnections is the number of connections of the last measurement.
	manyConnections = 256
	// flat is the largest relative change of memory that counts as none.
	flat = 0.05
	// memorySamples is the number of readings for one figure, under load.
	memorySamples = 10
)

// memory measures the resident memory of Vespo over time and by number of connections, and
// that of a native server.
func (b *bench) memory(ctx context.Context) error {
	t := &report.Table{Title: "Resident memory",
		Header: []string{"server", "moment", "RSS", "anon", "file", "shmem", "of it in slots", "but for slots", "change"},
		Notes: []string{"Medians under load. Slots are the snapshots' images and the pages that guests have written, of instances that are warm " +
			"or in use. Changes are those of the memory outside of slots: at the end against the first, with many connections against one."}}
	native, err := b.memoryOf(ctx, t, rowNative, workloads[0], func() (*server, error) {
		return b.startPeer(ctx, peer.Native, workloads[0].service)
	})
	if err != nil {
		return err
	}
	for _, w := range workloads[:2] {
		vespo, err := b.memoryOf(ctx, t, "vespo, "+w.service, w, func() (*server, error) { return b.startWith(ctx, w.service) })
		if err != nil {
			return err
		}
		goal := func(what string, growth, from float64) {
			b.goals = append(b.goals, report.AtMost("memory but for slots, "+w.service+", "+what, 100*flat, 100*math.Abs(growth/from), "%.1f %%"))
		}
		goal(fmt.Sprintf("from %d to %d requests", firstRequests, b.requests), vespo.overTime(), vespo[0].rest())
		goal(fmt.Sprintf("from 1 to %d connections", manyConnections), vespo.withConnections(), vespo[2].rest())
		goal("the same, less what the native server takes for them", vespo.withConnections()-native.withConnections(), vespo[2].rest())
	}
	return t.Write(b.out)
}

// moments are the figures of one server: after the first requests, after all, with one connection, with many.
type moments [4]resident

func (m *moments) overTime() float64        { return m[1].rest() - m[0].rest() }
func (m *moments) withConnections() float64 { return m[3].rest() - m[2].rest() }

// startWith starts a Vespo with one service.
func (b *bench) startWith(ctx context.Context, service string, flags ...string) (*server, error) {
	module, err := b.module(ctx, service)
	if err != nil {
		return nil, err
	}
	s, err := b.startVespo(ctx, filepath.Join(b.dir, "alone-"+service), flags...)
	if err != nil {
		return nil, err
	}
	if _, err := s.add(ctx, service, module, nil); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (b *bench) memoryOf(ctx context.Context, t *report.Table, name string, w workload, start func() (*server, error)) (m *moments, err error) {
	s, err := start()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	m = new(moments)
	for i, moment := range []struct {
		name                  string
		connections, requests int
	}{
		{fmt.Sprintf("%d requests", firstRequests), b.connections, firstRequests},
		{fmt.Sprintf("%d requests", b.requests), b.connections, b.requests - firstRequests},
		{"then, 1 connection", 1, firstRequests / 2},
		{fmt.Sprintf("then, %d connections", manyConnections), manyConnections, firstRequests},
	} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r, err := loadedMemory(s, w.path, moment.connections, moment.requests)
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", name, moment.name, err)
		}
		m[i] = r
		change := ""
		if i%2 == 1 {
			change = report.Change(r.rest()/m[i-1].rest() - 1)
		}
		t.Add(name, moment.name, report.MiB(r.total), report.MiB(r.anon), report.MiB(r.file), report.MiB(r.shmem), report.MiB(r.slots),
			report.MiB(r.rest()), change)
	}
	return m, nil
}

// loadedMemory makes the requests, and then reads the memory under further load.
func loadedMemory(s *server, path string, connections, requests int) (r resident, err error) {
	c, err := load.Dial(s.addr, path, connections)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if _, err := c.Run(load.Bound{Requests: requests}); err != nil {
		return r, err
	}
	var total, anon, file, shmem, slots report.Sample
	for range memorySamples {
		done := make(chan error, 1)
		go func() {
			_, err := c.Run(load.Bound{Duration: 50 * time.Millisecond})
			done <- err
		}()
		r, err := s.memory()
		if err := errors.Join(err, <-done); err != nil {
			return r, err
		}
		total, anon, file = append(total, r.total), append(anon, r.anon), append(file, r.file)
		shmem, slots = append(shmem, r.shmem), append(slots, r.slots)
	}
	return resident{total: total.Median(), anon: anon.Median(), file: file.Median(), shmem: shmem.Median(), slots: slots.Median()}, nil
}
