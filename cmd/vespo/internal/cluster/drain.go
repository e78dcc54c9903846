package cluster

import (
	"context"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
)

// slotsTime is the time between two announcements of free slots. A host that is being drained announces each change.
const slotsTime = 10 * time.Second

// slots are the slots for requests to guests, as announced.
type slots struct {
	read      func() (free, all int) // nil: not known yet
	free, all int
	at        time.Time
}

// Loads are the functions that return what a host is doing.
type Loads struct {
	Slots func() (free, all int)
	Work  func() Work
}

// AttachLoads makes the load of this host known.
func (n *Node) AttachLoads(l Loads) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.slots.read, n.work = l.Slots, l.Work
}

// ownWork returns the work to announce, and whether this host is to be drained. The work of other hosts is of no interest, and
// each change would be a write to the store.
func (n *Node) ownWork() (w Work, drained bool) {
	n.mu.Lock()
	read := n.work
	n.mu.Unlock()
	if read == nil || !n.Draining() {
		return Work{}, false
	}
	return read(), true
}

// readSlots returns the slots to announce. They change with each request, so they are read now and then: each change is a
// write to the store.
func (n *Node) readSlots() slots {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s := &n.slots; s.read != nil && (n.draining.Load() || time.Since(s.at) >= slotsTime) {
		s.free, s.all = s.read()
		s.at = time.Now()
	}
	return n.slots
}

// Draining reports whether this host is to be drained, as the store has last said. It is not ready then, and takes no work
// that one host alone does.
func (n *Node) Draining() bool { return n.draining.Load() }

// recall makes the mark and the hosts that were last known those of a start without the store.
func (n *Node) recall() error {
	if n.cfg.Dir == nil {
		return nil
	}
	memory, damage, err := openMemory(n.cfg.Dir)
	if err != nil {
		return err
	}
	if damage != nil {
		n.log.Error("the file of what this host knows about itself is damaged", "error", damage)
	}
	n.memory = memory
	n.draining.Store(memory.drained)
	for _, h := range memory.hosts {
		n.recalled = append(n.recalled, h.placeable())
	}
	n.recallLost(memory)
	return nil
}

func (n *Node) setDraining(on bool) {
	n.drainMu.Lock()
	defer n.drainMu.Unlock()
	switch was := n.draining.Swap(on); {
	case on && !was:
		n.log.Info("this host is being drained: it is not ready, runs no schedules, and ends what it has begun")
	case was && !on:
		n.log.Info("this host is not drained any more")
	}
	err := n.memory.set(on, n.othersPlaced(), n.lostHosts()) // again and again, until it is stored
	switch failed := err != nil; {
	case failed && !n.unstored:
		n.log.Error("it could not be stored whether this host is drained, and which others there are; a start without the store of the catalogue will not know it", "error", err)
	case !failed && n.unstored:
		n.log.Info("it is stored whether this host is drained, and which others there are")
	}
	n.unstored = err != nil
}

// Claim reports whether this host may run a schedule for a time: see Store. A host that is being drained runs none.
func (n *Node) Claim(ctx context.Context, schedule string, at time.Time) (bool, error) {
	if n.members.Load() == nil { // the store was not asked yet
		if _, err := n.look(ctx); err != nil {
			return false, err
		}
	}
	if n.Draining() {
		return false, nil
	}
	return n.store.Claim(ctx, schedule, at)
}

// Drain sets or removes the mark that a host is to be drained. A host that is away and has no mark is a problem.
func (n *Node) Drain(ctx context.Context, host string, on bool) error {
	view, err := n.View(ctx)
	if err != nil {
		return err
	}
	there := slices.ContainsFunc(view.Members, func(m Member) bool { return m.Address == host })
	if !there && !slices.Contains(view.Drained, host) {
		return problem.Newf(problem.NotFound, "there is no host %.200q: vespo hosts lists them", host)
	}
	if err := n.store.Drain(ctx, host, on); err != nil {
		return unreachable(n.store, err)
	}
	if host == n.Address() {
		n.setDraining(on)
	}
	return nil
}
