package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/vespo-dev/vespo/registry"
)

// errLost is returned if a watch ends before the store is closed.
var errLost = errors.New("the watch was lost")

// run keeps the image up to date until Close. A watch that was lost, or whose changes do not fit, ends in a complete read.
func (s *Store) run() {
	retry := firstRetry
	for s.running.Err() == nil {
		began := time.Now()
		err := s.Trouble() // of Load
		if err == nil {
			err = s.follow()
		}
		if s.running.Err() != nil {
			return
		}
		if time.Since(began) > lastRetry {
			retry = firstRetry
		}
		s.troubled(err)
		for err != nil && s.running.Err() == nil {
			select {
			case <-time.After(retry):
			case <-s.running.Done():
				return
			}
			retry = min(2*retry, lastRetry)
			if err = s.reread(); err != nil {
				s.troubled(err)
			}
		}
	}
}

// troubled remembers why the store cannot be used. The host that has opened the store logs it, if it lasts.
func (s *Store) troubled(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = err
	s.advanceLocked()
}

// follow applies all changes since the image's revision, until the watch ends.
func (s *Store) follow() error {
	s.mu.Lock()
	from := s.image.revision + 1
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(s.running))
	defer cancel()
	for answer := range s.client.Watch(ctx, s.keys, clientv3.WithPrefix(), clientv3.WithRev(from)) {
		if err := answer.Err(); err != nil {
			return fmt.Errorf("%w: %w", errLost, err)
		}
		if err := s.applyAll(answer.Events); err != nil {
			return err
		}
	}
	return errLost
}

// applyAll applies the events of an answer. It has all events of each of its revisions.
func (s *Store) applyAll(events []*clientv3.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	suspects := len(s.image.suspects)
	for len(events) > 0 {
		revision := events[0].Kv.ModRevision
		var group []change
		for len(events) > 0 && events[0].Kv.ModRevision == revision {
			kv := events[0].Kv
			c := change{write: write{Key: strings.TrimPrefix(string(kv.Key), s.keys), Value: kv.Value}, revision: revision}
			group, events = append(group, c), events[1:]
		}
		if err := s.image.apply(group); err != nil {
			return err
		}
	}
	if len(s.image.suspects) > suspects {
		s.logProblems(s.image)
	}
	return s.publishLocked()
}

// publishLocked makes the image's state the current one.
func (s *Store) publishLocked() error {
	m := s.image
	if err := errors.Join(m.headErr, m.newer()); err != nil {
		return err
	}
	switch {
	case m.headRev < s.at: // behind a commit of this store
	case m.head.Commit == s.commit:
		s.setLocked(s.current, m.head, m.headRev)
		clear(m.dirty)
	case m.head.Commit == s.own.id:
		s.setLocked(s.own.next, m.head, m.headRev)
		clear(m.dirty)
	default:
		return s.adoptLocked(m)
	}
	s.advanceLocked()
	return nil
}

// adoptLocked makes a state current that another host has committed.
func (s *Store) adoptLocked(m *image) error {
	if m.head.Generation <= s.current.Generation {
		return fmt.Errorf("the catalogue went back from generation %d to %d, as after a restored backup; restart this host to take the earlier one", s.current.Generation, m.head.Generation)
	}
	state := m.state(s.current)
	if err := state.Check(); err != nil {
		return err
	}
	s.setLocked(state, m.head, m.headRev)
	return nil
}

// reread reads the whole catalogue anew and makes it the current state.
func (s *Store) reread() error {
	m, err := s.read(s.running)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case m.headRev < s.at:
		return fmt.Errorf("%w: the store has answered with an older revision", errLost)
	case s.catalogue != "" && m.headErr == nil && m.head.Catalogue != s.catalogue:
		return fmt.Errorf("it has the catalogue %q now, and not %q", m.head.Catalogue, s.catalogue)
	}
	s.compareLocked(m)
	s.image = m
	if err := s.publishLocked(); err != nil {
		return err
	}
	s.trouble = nil
	s.logProblems(m)
	return nil
}

// compareLocked prepares a new image for publishLocked: its dirty keys are all those of either state. If its commit is the
// current one, entries that differ from it are suspects.
func (s *Store) compareLocked(m *image) {
	for key := range s.current.Services {
		m.dirty[serviceKey(key)] = true
	}
	for name := range s.current.Records {
		m.dirty[recordKey(name)] = true
	}
	if m.head.Commit == s.commit && m.head.Sum != m.sum.String() {
		s.suspectLocked(m)
	}
}

// suspectLocked makes entries that differ from the current state suspects.
func (s *Store) suspectLocked(m *image) {
	for key := range m.dirty {
		e := m.entries[key]
		want, err := valueAt(s.current, key)
		if err != nil || e.err != nil || hashOf(key, want) == e.hash && len(want) > 0 || len(want) == 0 && e.hash == (digest{}) {
			continue
		}
		m.suspects[key] = nil
		m.put(write{Key: key, Value: want})
	}
}

// logProblems logs the keys that are not part of the catalogue.
func (s *Store) logProblems(m *image) {
	for _, p := range m.problems(s.keys) {
		s.log.Warn("the catalogue has a key that is not part of it", "problem", p.String())
	}
}

// valueAt returns the value that a key should have in a state; nil if it should not be there.
func valueAt(state *registry.State, key string) ([]byte, error) {
	if name, ok := strings.CutPrefix(key, recordKeys); ok {
		if r, there := state.Records[name]; there {
			return encodeRecord(name, r)
		}
		return nil, nil
	}
	if service, there := state.Services[routeOf(key)]; there {
		return encodeService(service)
	}
	return nil, nil
}
