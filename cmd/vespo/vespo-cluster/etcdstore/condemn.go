package etcdstore

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
	"github.com/vespo-dev/vespo/registry"
)

// condemnedKeys returns the prefix of the announcements that a blob is about to be deleted. Each has a lease.
func (s *Store) condemnedKeys(d registry.Digest) string {
	return s.cfg.Prefix + "/condemned/" + d.Hex() + "/"
}

// condemnation is a cluster.Condemnation: a key for each blob, all with one lease.
type condemnation struct {
	store *Store
	lease clientv3.LeaseID
	valid time.Duration
}

// Condemn implements cluster.Store.
func (s *Store) Condemn(ctx context.Context, blobs []registry.Digest, valid time.Duration) (cluster.Condemnation, error) {
	if len(blobs) > maxOps {
		return nil, fmt.Errorf("%d blobs are too many for one announcement", len(blobs))
	}
	ctx, cancel := s.request(ctx)
	defer cancel()
	lease, err := s.client.Grant(ctx, int64((valid+time.Second-1)/time.Second))
	if err != nil {
		return nil, s.unreachable(err)
	}
	var ops []clientv3.Op
	for _, d := range blobs {
		key := fmt.Sprintf("%s%x", s.condemnedKeys(d), int64(lease.ID)) // several hosts may announce one blob
		ops = append(ops, clientv3.OpPut(key, s.cfg.Name, clientv3.WithLease(lease.ID)))
	}
	if _, err := s.client.Txn(ctx).Then(ops...).Commit(); err != nil {
		s.withdraw(lease.ID)
		return nil, s.unreachable(err)
	}
	return &condemnation{s, lease.ID, valid}, nil
}

// Extend implements cluster.Condemnation.
func (c *condemnation) Extend(ctx context.Context) error {
	ctx, cancel := c.store.request(ctx)
	defer cancel()
	answer, err := c.store.client.KeepAliveOnce(ctx, c.lease)
	if err == nil && time.Duration(answer.TTL)*time.Second < c.valid {
		err = fmt.Errorf("the lease ends in %d s", answer.TTL)
	}
	if err != nil {
		return c.store.unreachable(err)
	}
	return nil
}

// Release implements cluster.Condemnation.
func (c *condemnation) Release() { c.store.withdraw(c.lease) }

// Condemned implements cluster.Store.
func (s *Store) Condemned(ctx context.Context, d registry.Digest) (bool, error) {
	ctx, cancel := s.request(ctx)
	defer cancel()
	found, err := s.client.Get(ctx, s.condemnedKeys(d), clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return false, s.unreachable(err)
	}
	return found.Count > 0, nil
}

// Current implements cluster.Store: it waits for the state of the head that etcd has now.
func (s *Store) Current(ctx context.Context) (state *registry.State, err error) {
	ctx, cancel := s.request(ctx)
	defer cancel()
	answer, err := s.client.Get(ctx, s.keys+headKey, clientv3.WithKeysOnly())
	if err != nil {
		return nil, s.unreachable(err)
	}
	var latest int64
	if len(answer.Kvs) > 0 {
		latest = answer.Kvs[0].ModRevision
	}
	err = s.await(ctx, func() bool {
		state = s.current
		return state != nil && s.trouble == nil && s.image != nil && s.at >= latest
	})
	if err != nil {
		return nil, s.unreachable(err)
	}
	return state, nil
}
