package etcdstore

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func (s *Store) placeKeys() string { return s.cfg.Prefix + "/places/" }

// Place implements cluster.Store: each place is a key with a lease, which is extended until the place is released.
func (s *Store) Place(ctx context.Context, n int) (release func(), err error) {
	request, cancel := s.request(ctx)
	defer cancel()
	taken, err := s.client.Get(request, s.placeKeys(), clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return nil, s.unreachable(err)
	}
	there := make(map[string]bool, len(taken.Kvs))
	for _, kv := range taken.Kvs {
		there[strings.TrimPrefix(string(kv.Key), s.placeKeys())] = true
	}
	for i := range n {
		name := fmt.Sprintf("%04d", i)
		if there[name] {
			continue
		}
		if release, err = s.takePlace(request, s.placeKeys()+name); release != nil || err != nil {
			return release, err
		}
	}
	return nil, nil
}

// takePlace takes the place of a key, unless another host was first.
func (s *Store) takePlace(ctx context.Context, key string) (release func(), err error) {
	lease, err := s.client.Grant(ctx, int64(s.cfg.Lease/time.Second))
	if err != nil {
		return nil, s.unreachable(err)
	}
	free := clientv3.Compare(clientv3.CreateRevision(key), "=", 0)
	answer, err := s.client.Txn(ctx).If(free).Then(clientv3.OpPut(key, s.cfg.Name, clientv3.WithLease(lease.ID))).Commit()
	if err != nil || !answer.Succeeded {
		s.withdraw(lease.ID)
	}
	switch {
	case err != nil:
		return nil, s.unreachable(err)
	case !answer.Succeeded:
		return nil, nil
	}
	running, end := context.WithCancel(s.running)
	var extending sync.WaitGroup
	extending.Go(func() { s.extend(running, lease.ID) })
	return sync.OnceFunc(func() {
		end()
		extending.Wait()
		s.withdraw(lease.ID)
	}), nil
}

// extend extends a lease until ctx ends. Errors are ignored: the lease may end then.
func (s *Store) extend(ctx context.Context, lease clientv3.LeaseID) {
	for {
		select {
		case <-time.After(s.cfg.Lease / 3):
		case <-ctx.Done():
			return
		}
		request, cancel := s.request(ctx)
		_, _ = s.client.KeepAliveOnce(request, lease)
		cancel()
	}
}
