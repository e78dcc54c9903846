package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"time"
	"weak"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
	"github.com/vespo-dev/vespo/registry"
)

// ErrOwnCatalogue is returned if the directory of the copy has a catalogue of its own.
var ErrOwnCatalogue = errors.New("the data directory has services of its own, which are not those of the store")

// copied is the copy of the catalogue on this host. A host without a reachable store starts with it.
type copied struct {
	store registry.Store
	saved *registry.State // of store
	mark  cluster.Mark
	state *registry.State // the copied state; nil if there is none
}

// loadCopy reads the copy, if there is one.
func loadCopy(ctx context.Context, store registry.Store) (*copied, registry.Loaded, error) {
	loaded, err := store.Load(ctx)
	if err != nil {
		return nil, loaded, err
	}
	c := &copied{store: store, saved: loaded.State}
	mark, copied, err := cluster.MarkOf(loaded.State)
	switch {
	case err != nil:
		return nil, loaded, err
	case mark != nil:
		c.mark, c.state = *mark, copied
	case len(loaded.State.Services)+len(loaded.State.Records) > 0:
		return nil, loaded, fmt.Errorf("%w: choose another --data, or move them with vespo-cluster migrate", ErrOwnCatalogue)
	}
	return c, loaded, nil
}

// save writes a state. The copy has generations of its own, as one that was lost cannot be used again.
func (c *copied) save(ctx context.Context, state *registry.State, mark cluster.Mark) error {
	if mark == c.mark {
		return nil
	}
	next, err := mark.On(state, c.saved)
	if err != nil {
		return err
	}
	if err := c.store.Commit(ctx, c.saved, next); err != nil {
		return err
	}
	c.saved, c.mark = next, mark
	return nil
}

// maxKeepable is the number of states before the current one that Keep knows.
const maxKeepable = 100

// keepable is a state that was the current one. It is not kept alive: a large catalogue has megabytes.
type keepable struct {
	state weak.Pointer[registry.State]
	mark  cluster.Mark
}

// rememberLocked makes the current state known to keepCopy.
func (s *Store) rememberLocked() {
	if len(s.keepables) >= maxKeepable {
		s.keepables = append(s.keepables[:0], s.keepables[1:]...)
	}
	s.keepables = append(s.keepables, keepable{weak.Make(s.current), s.markLocked()})
}

// Keep implements cluster.Store. A state that came before its modules would be of no use to a start without the other hosts.
func (s *Store) Keep(state *registry.State) { s.kept.Publish(state) }

// markOf returns the mark of a state; a zero one if it is not known any more.
func (s *Store) markOf(state *registry.State) (m cluster.Mark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.keepables {
		if k.state == weak.Make(state) {
			m = k.mark
		}
	}
	return m
}

// copyRetry is the time after which a copy is written again that could not be, as on a full disk.
const copyRetry = 10 * time.Second

// keepCopy saves each state of Keep until Close, and the latest then. A state that another one follows soon may be left out.
func (s *Store) keepCopy(c *copied) {
	failed := false
	var state *registry.State
	for s.running.Err() == nil {
		state = s.nextKept(state, failed)
		failed = s.saveCopy(c, state, failed)
	}
	s.saveCopy(c, s.kept.Latest(), failed) // it may have come while another one was saved
}

// saveCopy saves a state that is known still. It returns whether it, or the last one, could not be saved.
func (s *Store) saveCopy(c *copied, state *registry.State, failed bool) (fails bool) {
	if state == nil {
		return failed
	}
	mark := s.markOf(state)
	if mark.Commit == "" {
		return failed
	}
	err := c.save(context.WithoutCancel(s.running), state, mark)
	switch {
	case err != nil && !failed:
		s.log.Error("the copy of the catalogue cannot be written; this host could not start without its store", "error", err)
	case err == nil && failed:
		s.log.Info("the copy of the catalogue is written again", "generation", state.Generation)
	}
	return err != nil
}

// nextKept waits for another state of Keep than the last one. With retry, it returns that one again after copyRetry.
func (s *Store) nextKept(last *registry.State, retry bool) *registry.State {
	ctx := s.running
	if retry {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, copyRetry)
		defer cancel()
	}
	for state := range s.kept.Watch(ctx) {
		if state != last {
			return state
		}
	}
	return last
}

// Mark implements cluster.Store.
func (s *Store) Mark() cluster.Mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.commit == "" {
		return cluster.Mark{}
	}
	return s.markLocked()
}

func (s *Store) markLocked() cluster.Mark {
	return cluster.Mark{Store: s.from, Catalogue: s.catalogue, Commit: s.commit, Generation: s.current.Generation}
}

// checkCopy compares a copy with the head of the store.
func checkCopy(c *copied, m *image) (problems []registry.Problem, err error) {
	switch {
	case c == nil || c.state == nil:
	case m.headRev == 0:
		return nil, fmt.Errorf("it has no catalogue, but this host has a copy of one, of generation %d: restore it, or choose another --data", c.mark.Generation)
	case m.head.Catalogue != c.mark.Catalogue:
		return nil, fmt.Errorf("it has the catalogue %s, but this host has a copy of the catalogue %s (%s): choose another --data", m.head.Catalogue, c.mark.Catalogue, c.mark.Store)
	case m.head.Generation < c.mark.Generation:
		problems = append(problems, registry.Problem{
			Subject: "store",
			Detail:  fmt.Sprintf("it went back to generation %d, as after a restored backup; this host has seen generation %d", m.head.Generation, c.mark.Generation),
		})
	}
	return problems, nil
}
