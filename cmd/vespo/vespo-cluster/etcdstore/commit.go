package etcdstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// proposal is a commit that is being made.
type proposal struct {
	id     string
	next   *registry.State
	at     int64 // revision of the head that it replaces; 0: there is none
	before head
	after  head
	writes []write
}

// Commit replaces base by next, if no other host was first: see the package comment.
func (s *Store) Commit(ctx context.Context, base, next *registry.State) error {
	s.commitMu.Lock()
	defer s.commitMu.Unlock()
	if !s.basedOn(base) || next.Generation <= base.Generation {
		return registry.ErrStale
	}
	if err := next.Check(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.ready(ctx, base); err != nil {
		return err
	}
	p, err := s.propose(base, next)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.carryOut(context.WithoutCancel(ctx), p)
}

// basedOn reports whether base is the current state.
func (s *Store) basedOn(base *registry.State) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current != nil && s.current == base
}

// ready waits until etcd answers and the image has all of base. It returns ErrStale if another host was first.
func (s *Store) ready(ctx context.Context, base *registry.State) error {
	ctx, cancel := s.request(ctx)
	defer cancel()
	answer, err := s.client.Get(ctx, s.keys+headKey, clientv3.WithKeysOnly())
	if err != nil {
		return s.unreachable(err)
	}
	var latest int64
	if len(answer.Kvs) > 0 {
		latest = answer.Kvs[0].ModRevision
	}
	current := false
	err = s.await(ctx, func() bool {
		current = s.current == base
		return !current || s.image != nil && s.image.headRev == latest && s.at <= latest && s.trouble == nil
	})
	switch {
	case err != nil:
		return s.unreachable(err)
	case !current:
		return registry.ErrStale
	}
	return nil
}

// propose returns the commit from base to next.
func (s *Store) propose(base, next *registry.State) (*proposal, error) {
	p := &proposal{id: rand.Text(), next: next}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.image
	if s.current != base || m == nil || m.headRev != s.at {
		return nil, registry.ErrStale
	}
	changed := changedKeys(base, next)
	for key := range m.suspects {
		changed[key] = true
	}
	sum := m.sum
	for _, key := range slices.Sorted(maps.Keys(changed)) {
		value, err := valueAt(next, key)
		if err != nil {
			return nil, err
		}
		old, there := m.entries[key]
		if there && old.err == nil {
			sum = sum.minus(old.hash)
		}
		if len(value) > 0 {
			sum = sum.plus(hashOf(key, value))
		}
		if aside := m.strange(key); aside != nil {
			p.writes = append(p.writes, write{Key: asideKeys + strconv.FormatInt(m.revision, 10) + "/" + key, Value: aside})
		}
		p.writes = append(p.writes, write{Key: key, Value: value})
	}
	p.at, p.before, p.after = m.headRev, m.head, m.head.next(next.Generation, p.id, sum)
	p.before.Sum = cmp.Or(p.before.Sum, digest{}.String()) // without a head, settle writes an empty one
	s.own = ownCommit{id: p.id, next: next}
	return p, nil
}

// strange returns the value of a key that no commit has written, or that cannot be read; nil if there is none.
func (m *image) strange(key string) []byte {
	if value := m.suspects[key]; len(value) > 0 {
		return value
	}
	return m.entries[key].value
}

// changedKeys returns the keys whose values differ.
func changedKeys(base, next *registry.State) map[string]bool {
	changed := make(map[string]bool)
	for key, service := range next.Services {
		if old, ok := base.Services[key]; !ok || !old.Equal(service) {
			changed[serviceKey(key)] = true
		}
	}
	for key := range base.Services {
		if _, ok := next.Services[key]; !ok {
			changed[serviceKey(key)] = true
		}
	}
	for name, r := range next.Records {
		if old, ok := base.Records[name]; !ok || !old.Equal(r) {
			changed[recordKey(name)] = true
		}
	}
	for name := range base.Records {
		if _, ok := next.Records[name]; !ok {
			changed[recordKey(name)] = true
		}
	}
	return changed
}

func routeOf(key string) routekey.Key { return routekey.Stored(strings.TrimPrefix(key, serviceKeys)) }

// carryOut makes a proposal the catalogue. Small ones are one transaction, larger ones are staged before.
func (s *Store) carryOut(ctx context.Context, p *proposal) error {
	if err := s.foldEarlier(ctx, p); err != nil {
		return err
	}
	size := 0
	for _, w := range p.writes {
		size += w.bytes()
	}
	var err error
	if len(p.writes) < maxOps && size <= maxBatchBytes {
		err = s.commitAtOnce(ctx, p)
	} else {
		err = s.commitStaged(ctx, p)
	}
	if errors.Is(err, registry.ErrStale) {
		return s.catchUp(ctx, p)
	}
	return err
}

// catchUp waits for the state of the host that was first, so that the caller finds it.
func (s *Store) catchUp(ctx context.Context, p *proposal) error {
	ctx, cancel := s.request(ctx)
	defer cancel()
	if err := s.await(ctx, func() bool { return s.at > p.at && s.commit != p.before.Commit }); err != nil {
		return s.unreachable(fmt.Errorf("another host has changed the catalogue: %w", err))
	}
	return registry.ErrStale
}

func (s *Store) commitAtOnce(ctx context.Context, p *proposal) error {
	ops, err := s.headOps(p.after)
	if err != nil {
		return err
	}
	return s.switchTo(ctx, p, nil, append(ops, s.ops(p.writes)...))
}

// headOps returns the operation that replaces the head.
func (s *Store) headOps(h head) ([]clientv3.Op, error) {
	value, err := h.encode()
	if err != nil {
		return nil, err
	}
	return []clientv3.Op{clientv3.OpPut(s.keys+headKey, string(value))}, nil
}

// ops returns the operations of writes.
func (s *Store) ops(writes []write) (ops []clientv3.Op) {
	for _, w := range writes {
		if len(w.Value) == 0 {
			ops = append(ops, clientv3.OpDelete(s.keys+w.Key))
		} else {
			ops = append(ops, clientv3.OpPut(s.keys+w.Key, string(w.Value)))
		}
	}
	return ops
}

// headIs compares the head's revision, 0 for no head.
func (s *Store) headIs(revision int64) clientv3.Cmp {
	return clientv3.Compare(clientv3.ModRevision(s.keys+headKey), "=", revision)
}

// switchTo makes the transaction that replaces the head: the point of no return.
func (s *Store) switchTo(ctx context.Context, p *proposal, also []clientv3.Cmp, ops []clientv3.Op) error {
	request, cancel := s.request(ctx)
	answer, err := s.client.Txn(request).If(append(also, s.headIs(p.at))...).Then(ops...).Commit()
	cancel()
	switch {
	case err == nil && answer.Succeeded:
		s.counts.writes.Add(mutations(ops))
		s.committed(p, answer.Header.Revision)
		return nil
	case err == nil:
		return registry.ErrStale
	case refused(err):
		return fmt.Errorf("the store has refused the change: %w", err)
	}
	return s.settle(ctx, p, err)
}

// committed makes the state of a commit the current one.
func (s *Store) committed(p *proposal, revision int64) {
	s.counts.changes.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setLocked(p.next, p.after, revision)
}
