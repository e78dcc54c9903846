package etcdstore

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
)

const memberVersion = 1

// announceTime is the time between two looks at what a host announces.
const announceTime = time.Second

// lookTime is the time between two looks at the key of the host. A host with the same address can have replaced it, and taken it along.
const lookTime = 5 * time.Second

// announcement is what a host has announced. It is confined to one goroutine.
type announcement struct {
	lease   clientv3.LeaseID
	written string    // under the lease
	looked  time.Time // when the key was last there
	other   int64     // lease of another host with the same address, after it was logged
}

// Announce implements cluster.Store: the host has a key with a lease.
func (s *Store) Announce(ctx context.Context, own func() cluster.Member) {
	var a announcement
	for pause := time.Duration(0); ; pause = announceTime {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			s.withdraw(a.lease)
			return
		}
		if err := s.announce(ctx, &a, own()); err != nil {
			s.log.Debug("this host could not be announced", "error", err)
		}
	}
}

// announce extends the lease, and writes the key if it differs.
func (s *Store) announce(ctx context.Context, a *announcement, m cluster.Member) error {
	ctx, cancel := s.request(ctx)
	defer cancel()
	if a.lease != clientv3.NoLease {
		if _, err := s.client.KeepAliveOnce(ctx, a.lease); err != nil {
			a.lease = clientv3.NoLease
		}
	}
	if a.lease == clientv3.NoLease {
		granted, err := s.client.Grant(ctx, int64(s.cfg.Lease/time.Second))
		if err != nil {
			return err
		}
		*a = announcement{lease: granted.ID}
	}
	content, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if string(content) == a.written {
		if there, err := s.announced(ctx, a, m); there || err != nil {
			return err
		}
	}
	value, err := seal(hostFormat, memberVersion, content)
	if err != nil {
		return err
	}
	if _, err := s.client.Put(ctx, s.hostKeys()+m.Address, string(value), clientv3.WithLease(a.lease)); err != nil {
		return err
	}
	a.written, a.looked = string(content), time.Now()
	return nil
}

// announced reports whether the host's key is there. It asks the store every lookTime.
func (s *Store) announced(ctx context.Context, a *announcement, m cluster.Member) (bool, error) {
	if time.Since(a.looked) < lookTime {
		return true, nil
	}
	answer, err := s.client.Get(ctx, s.hostKeys()+m.Address, clientv3.WithKeysOnly())
	if err != nil {
		return false, err
	}
	a.looked = time.Now()
	if len(answer.Kvs) == 0 {
		return false, nil
	}
	if lease := answer.Kvs[0].Lease; lease != int64(a.lease) && lease != a.other {
		a.other = lease
		s.log.Warn("another host has the address of this one: give each its own --peer-listen, or --peer-address", "address", m.Address)
	}
	return true, nil
}

// withdraw ends a lease, and with it the announcement. If it fails, the lease ends by itself.
func (s *Store) withdraw(lease clientv3.LeaseID) {
	if lease == clientv3.NoLease {
		return
	}
	ctx, cancel := s.request(s.running)
	defer cancel()
	_, _ = s.client.Revoke(ctx, lease)
}

func (s *Store) hostKeys() string  { return s.cfg.Prefix + "/hosts/" }
func (s *Store) drainKeys() string { return s.cfg.Prefix + "/drained/" }

// View implements cluster.Store. It is one request, so that etcd has to answer with its latest revision.
func (s *Store) View(ctx context.Context) (v cluster.View, err error) {
	ctx, cancel := s.request(ctx)
	defer cancel()
	answer, err := s.client.Txn(ctx).Then(
		clientv3.OpGet(s.hostKeys(), clientv3.WithPrefix()),
		clientv3.OpGet(s.drainKeys(), clientv3.WithPrefix(), clientv3.WithKeysOnly()),
		clientv3.OpGet(s.keys+headKey),
	).Commit()
	if err != nil {
		return v, s.unreachable(err)
	}
	found := func(i int) []*mvccpb.KeyValue { return answer.Responses[i].GetResponseRange().Kvs }
	for _, kv := range found(0) {
		content, err := unseal(kv.Value, hostFormat, memberVersion)
		if err != nil {
			continue // of a later release
		}
		var m cluster.Member
		if json.Unmarshal(content, &m) == nil && m.Address == strings.TrimPrefix(string(kv.Key), s.hostKeys()) {
			v.Members = append(v.Members, m)
		}
	}
	for _, kv := range found(1) {
		v.Drained = append(v.Drained, strings.TrimPrefix(string(kv.Key), s.drainKeys()))
	}
	if heads := found(2); len(heads) > 0 {
		h, err := decodeHead(heads[0].Value)
		if err != nil {
			return v, fmt.Errorf("store %s: %w", s.cfg, err)
		}
		v.Generation = h.Generation
	}
	return v, nil
}

// Drain implements cluster.Store.
func (s *Store) Drain(ctx context.Context, host string, on bool) (err error) {
	ctx, cancel := s.request(ctx)
	defer cancel()
	if on {
		_, err = s.client.Put(ctx, s.drainKeys()+host, time.Now().UTC().Format(time.RFC3339))
	} else {
		_, err = s.client.Delete(ctx, s.drainKeys()+host)
	}
	if err != nil {
		return s.unreachable(err)
	}
	return nil
}

// Claim implements cluster.Store: the key of a schedule has the last time that was claimed, and changes by compare-and-set.
func (s *Store) Claim(ctx context.Context, schedule string, at time.Time) (bool, error) {
	key, value := s.cfg.Prefix+"/ticks/"+schedule, at.UTC().Format(time.RFC3339Nano)
	ctx, cancel := s.request(ctx)
	defer cancel()
	for {
		found, err := s.client.Get(ctx, key)
		if err != nil {
			return false, s.unreachable(err)
		}
		var revision int64
		if len(found.Kvs) > 0 {
			revision = found.Kvs[0].ModRevision
			if last, err := time.Parse(time.RFC3339Nano, string(found.Kvs[0].Value)); err == nil && !at.After(last) {
				return false, nil
			}
		}
		answer, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).Then(clientv3.OpPut(key, value)).Commit()
		switch {
		case err != nil: // it may have been made: no host runs this time then
			return false, s.unreachable(fmt.Errorf("claim %s: %w", schedule, err))
		case answer.Succeeded:
			return true, nil
		}
	}
}

var _ cluster.Store = (*Store)(nil)
