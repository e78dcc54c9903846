package server

import (
	"context"
	"slices"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/control/lambda"
)

// hosts returns the reader of the hosts of a common catalogue; nil without one.
func (c *core) hosts() admin.HostsReader {
	if c.node == nil {
		return nil
	}
	return func(ctx context.Context) (admin.Hosts, error) {
		view, err := c.node.View(ctx)
		if err != nil {
			return admin.Hosts{}, err
		}
		all := admin.Hosts{Store: c.node.StoreName(), Hosts: []admin.Host{}}
		latest := max(view.Generation, c.catalogue.State().Generation)
		for _, m := range view.Members {
			latest = max(latest, m.Generation)
		}
		all.Generation = uint64(latest)
		for _, m := range view.Members {
			all.Hosts = append(all.Hosts, admin.Host{
				Address:     m.Address,
				Labels:      m.Labels,
				Version:     m.Version,
				Started:     m.Started,
				Generation:  uint64(m.Generation),
				Lag:         uint64(latest - m.Generation),
				Failing:     m.Failing,
				Unavailable: m.Unavailable,
				Slots:       m.Slots,
				FreeSlots:   m.FreeSlots,
				Draining:    slices.Contains(view.Drained, m.Address),
				Work:        workOf(m),
				Told:        m.Told,
				Own:         m.Address == c.node.Address(),
			})
		}
		for _, address := range view.Drained {
			if !slices.ContainsFunc(view.Members, func(m cluster.Member) bool { return m.Address == address }) {
				all.Hosts = append(all.Hosts, admin.Host{Address: address, Draining: true, Away: true})
			}
		}
		return all, nil
	}
}

// workOf returns the work of a host that is being drained and knows it; else nil.
func workOf(m cluster.Member) *admin.HostWork {
	if !m.Drained {
		return nil
	}
	return &admin.HostWork{Requests: m.Work.Requests, Leases: m.Work.Leases, Events: m.Work.Events}
}

// drainHost returns the function that lets a host be drained; nil without a common catalogue.
func (c *core) drainHost() func(ctx context.Context, host string, on bool) error {
	if c.node == nil {
		return nil
	}
	return c.node.Drain
}

// attachLoads lets this host announce its slots, without the spare ones for new versions, and its work.
func (c *core) attachLoads(gate *admission.Gate, all int) {
	if c.node == nil {
		return
	}
	c.node.AttachLoads(cluster.Loads{
		Slots: func() (int, int) { return max(0, all-gate.Stats().InFlight), all },
		Work:  c.work,
	})
}

// work returns what this host has begun. A request of any kind of service holds a place of one gate, or waits for one.
func (c *core) work() (w cluster.Work) {
	for _, g := range c.sources.Gates {
		s := g.Gate.Stats()
		w.Requests += s.InFlight + s.Queued
	}
	w.Leases = c.sources.Queues.Stats().LeasedHere
	if api, ok := c.lambda.(*lambda.Handler); ok {
		w.Events = api.Stats().Left
	}
	return w
}
