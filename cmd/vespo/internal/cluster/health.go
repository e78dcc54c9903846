package cluster

import (
	"context"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/follow"
)

// maxSlack bounds the time beyond refreshTime after which a host without an answer of the store may be behind.
const maxSlack = 10 * time.Second

// health is what a host knows of its store.
type health struct {
	latest      registry.Generation // of the store
	lastContact time.Time           // zero: never
	lastCurrent time.Time           // when this host last served the latest generation; zero: never
	failed      error               // why the store cannot be used; nil if it can
	since       time.Time           // of the last change of failed between nil and an error
	adoption    error               // of the last adoption
	adoptions   uint64
}

// watchStore asks the store for its members and its generation, until ctx ends.
func (n *Node) watchStore(ctx context.Context) {
	for pause := time.Duration(0); ; pause = n.refresh {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		began := time.Now()
		view, err := n.look(ctx)
		if ctx.Err() != nil {
			return
		}
		n.heard(began, view.Generation, err)
	}
}

// heard notes an answer of the store, or that there was none, and logs when it is lost and when it is back.
func (n *Node) heard(began time.Time, latest registry.Generation, err error) {
	contact := err == nil
	if contact {
		err = n.store.Trouble()
	}
	n.mu.Lock()
	h := &n.health
	if contact {
		h.latest, h.lastContact = latest, began
	}
	if err == nil && n.self.Generation >= h.latest {
		h.lastCurrent = began
	}
	before, since := h.failed, h.since
	if h.failed = err; (err == nil) != (before == nil) {
		h.since = began
	}
	n.mu.Unlock()
	switch {
	case err != nil && before == nil:
		n.log.Warn("the store of the catalogue is lost; services go on, and changes are refused until it is back", "store", n.store.String(), "error", err)
	case err == nil && before != nil:
		n.log.Info("the store of the catalogue is back", "store", n.store.String(), "generation", latest, "after", time.Since(since).Round(time.Second))
	}
}

// Status returns how far this host is behind the store. Its Primary is the name of the store.
func (n *Node) Status() follow.Status {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.health
	s := follow.Status{
		Primary:           n.store.String(),
		State:             follow.Current,
		Generation:        n.self.Generation,
		PrimaryGeneration: h.latest,
		LastContact:       h.lastContact,
		LastCurrent:       h.lastCurrent,
		Since:             h.since,
		Unavailable:       n.self.Failing,
		Adoptions:         h.adoptions,
	}
	if h.latest > s.Generation {
		s.Generations = uint64(h.latest - s.Generation)
	}
	switch {
	case h.failed != nil:
		s.State, s.Problem = follow.Lost, h.failed.Error()
	case h.lastContact.IsZero():
		s.State = follow.Starting
	case s.Generations > 0 || h.adoption != nil:
		s.State = follow.Behind
	}
	if h.failed == nil && h.adoption != nil {
		s.Problem = h.adoption.Error()
	}
	if since := time.Since(s.LastCurrent); !s.LastCurrent.IsZero() && (s.State != follow.Current || since > n.refresh+n.slack) {
		s.Behind = since
	}
	return s
}

// Ready returns a problem if this host is being drained, or is not as up to date as it must be.
func (n *Node) Ready() error {
	limit := n.cfg.MaxLag
	if n.Draining() {
		return problem.New(problem.NotReady, "this host is being drained: vespo hosts undrain ends that")
	}
	if limit == 0 {
		return nil
	}
	switch s := n.Status(); {
	case s.LastCurrent.IsZero():
		return problem.Newf(problem.NotReady, "this host has not been up to date with the store of its catalogue since its start, and --max-lag is %s", limit)
	case s.Behind > limit:
		return problem.Newf(problem.NotReady, "this host is %s behind the store of its catalogue, and --max-lag is %s", s.Behind.Round(time.Second), limit)
	}
	return nil
}

// Stats returns the state of this host among the others.
func (n *Node) Stats() Stats {
	out := Stats{
		Status:       n.Status(),
		Hosts:        1,
		Store:        n.store.Stats(),
		ObjectsAway:  n.objectsAway.Load(),
		SweptObjects: n.sweptObjects.Load(),
		SweptBytes:   n.sweptBytes.Load(),
	}
	if others := n.members.Load(); others != nil {
		out.Hosts += len(*others)
	}
	return out
}

// Stats are the state of a host of a common catalogue, and counts since its start.
type Stats struct {
	Status follow.Status
	Hosts  int // that were there when the store has last answered, this one included
	Store  StoreStats
	// ObjectsAway is set if the object store could not be used at the last attempt.
	ObjectsAway  bool
	SweptObjects uint64 // unreferenced objects that this host has deleted
	SweptBytes   int64
}

// adopted notes the outcome of an adoption, of a new state or of the last one.
func (n *Node) adopted(err error, fresh bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.health.adoption = err; err == nil && fresh {
		n.health.adoptions++
	}
}
