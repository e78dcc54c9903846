package etcdstore

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/vespo-dev/vespo/registry"
)

// stagingTime is the life of the marker of a commit in several transactions, in seconds. The chunks of a commit whose
// marker has gone are never part of the catalogue.
const stagingTime = 300

// chunkBytes bounds the values of a chunk, which its encoding enlarges by a third before it is compressed.
const chunkBytes = 512 << 10

// commitStaged makes a commit that exceeds the bounds of a transaction: it writes the changes aside, makes the head refer
// to them, which is the commit, and then moves them to their keys.
func (s *Store) commitStaged(ctx context.Context, p *proposal) error {
	s.collectStaged(ctx, p.at)
	marker := s.keys + markerKey(p.id)
	if err := s.mark(ctx, marker); err != nil {
		return s.unreachable(err)
	}
	chunks := batches(p.writes, 1<<20, chunkBytes)
	for number, writes := range chunks {
		value, err := encodeChunk(writes)
		if err != nil {
			return err
		}
		if err := s.putMarked(ctx, marker, s.keys+stagedKey(p.id, number), value); err != nil {
			return err
		}
	}
	p.after.Staged = &stagedRef{ID: p.id, Chunks: len(chunks)}
	ops, err := s.headOps(p.after)
	if err != nil {
		return err
	}
	there := clientv3.Compare(clientv3.CreateRevision(marker), ">", 0)
	if err := s.switchTo(ctx, p, []clientv3.Cmp{there}, append(ops, clientv3.OpDelete(marker))); err != nil {
		return err
	}
	if err := s.fold(ctx, p.after, p.writes); err != nil { // the next commit does it
		s.log.Info("changes of the catalogue are kept aside until the next deploy", "error", err)
	}
	return nil
}

// mark writes the marker of a commit, with a lease.
func (s *Store) mark(ctx context.Context, marker string) error {
	ctx, cancel := s.request(ctx)
	defer cancel()
	lease, err := s.client.Grant(ctx, stagingTime)
	if err != nil {
		return err
	}
	s.counts.writes.Add(1)
	_, err = s.client.Put(ctx, marker, s.cfg.Name, clientv3.WithLease(lease.ID))
	return err
}

// putMarked writes a chunk, if the marker is there.
func (s *Store) putMarked(ctx context.Context, marker, key string, value []byte) error {
	ctx, cancel := s.request(ctx)
	defer cancel()
	there := clientv3.Compare(clientv3.CreateRevision(marker), ">", 0)
	answer, err := s.client.Txn(ctx).If(there).Then(clientv3.OpPut(key, string(value))).Commit()
	switch {
	case err != nil && refused(err):
		return fmt.Errorf("the store has refused the change: %w", err)
	case err != nil:
		return s.unreachable(err)
	case answer.Succeeded:
		s.counts.writes.Add(1)
	default:
		return s.unreachable(fmt.Errorf("writing the change took more than %d s", stagingTime))
	}
	return nil
}

// foldEarlier moves the staged changes of the commit before to their keys, if its writer has not.
func (s *Store) foldEarlier(ctx context.Context, p *proposal) error {
	if p.before.Staged == nil {
		return nil
	}
	s.mu.Lock()
	writes, err := s.image.staged[p.before.Staged.ID].writes(*p.before.Staged)
	s.mu.Unlock()
	if err == nil {
		err = s.fold(ctx, p.before, writes)
	}
	if err != nil {
		return s.unreachable(fmt.Errorf("move earlier changes to their keys: %w", err))
	}
	ctx, cancel := s.request(ctx)
	defer cancel()
	err = s.await(ctx, func() bool { return s.image.head.Staged == nil && s.image.headRev == s.at })
	if err != nil {
		return s.unreachable(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.commit != p.before.Commit {
		return registry.ErrStale
	}
	p.at, p.before = s.image.headRev, s.image.head
	return nil
}

// fold moves the staged changes of a head to their keys. Another host may do the same at the same time.
func (s *Store) fold(ctx context.Context, h head, writes []write) error {
	s.mu.Lock()
	at := s.at
	s.mu.Unlock()
	for _, batch := range batches(writes, maxOps, maxBatchBytes) {
		done, err := s.foldOnce(ctx, at, s.ops(batch))
		if err != nil || done {
			return err
		}
	}
	id := h.Staged.ID
	h.Staged = nil
	ops, err := s.headOps(h)
	if err != nil {
		return err
	}
	_, err = s.foldOnce(ctx, at, append(ops, clientv3.OpDelete(s.keys+markerKey(id)+"/", clientv3.WithPrefix())))
	return err
}

// foldOnce makes one transaction of a fold. done is set if another host has folded.
func (s *Store) foldOnce(ctx context.Context, at int64, ops []clientv3.Op) (done bool, err error) {
	ctx, cancel := s.request(ctx)
	defer cancel()
	answer, err := s.client.Txn(ctx).If(s.headIs(at)).Then(ops...).Commit()
	if err != nil {
		return false, err
	}
	if answer.Succeeded {
		s.counts.writes.Add(mutations(ops))
	}
	return !answer.Succeeded, nil
}

// collectStaged deletes the chunks of commits that were never made, as their marker has expired. Errors leave them for the
// next time.
func (s *Store) collectStaged(ctx context.Context, at int64) {
	s.mu.Lock()
	var lost []string
	for id, staged := range s.image.staged {
		if ref := s.image.head.Staged; !staged.marked && (ref == nil || ref.ID != id) {
			lost = append(lost, id)
		}
	}
	s.mu.Unlock()
	for _, id := range lost {
		request, cancel := s.request(ctx)
		gone := clientv3.Compare(clientv3.CreateRevision(s.keys+markerKey(id)), "=", 0)
		_, err := s.client.Txn(request).If(gone, s.headIs(at)).Then(clientv3.OpDelete(s.keys+markerKey(id)+"/", clientv3.WithPrefix())).Commit()
		cancel()
		if err != nil {
			return
		}
	}
}
