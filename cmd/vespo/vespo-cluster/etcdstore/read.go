package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// pageKeys bounds the keys of one answer: a service with a full history has up to 1 MiB.
const pageKeys = 200

// maxReads is the number of times that a read begins anew when etcd compacts its revision.
const maxReads = 3

// read returns the image of the latest revision. All its keys are of that revision.
func (s *Store) read(ctx context.Context) (m *image, err error) {
	s.counts.reads.Add(1)
	for range maxReads {
		m = newImage()
		if err = s.readInto(ctx, m); !errors.Is(err, rpctypes.ErrCompacted) {
			break
		}
	}
	return m, err
}

func (s *Store) readInto(ctx context.Context, m *image) error {
	end := clientv3.GetPrefixRangeEnd(s.keys)
	for from, more := s.keys, true; more; {
		page, err := s.readPage(ctx, from, end, m.revision)
		if err != nil {
			return err
		}
		m.revision = page.Header.Revision
		if more = page.More; more {
			from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
		}
		for _, kv := range page.Kvs {
			s.take(m, kv)
		}
	}
	if m.headErr != nil {
		return nil // reported by the caller
	}
	if err := m.overlay(); err != nil && !errors.Is(err, errUnfit) {
		return err
	}
	return nil
}

// take adds a key of a complete read to the image.
func (s *Store) take(m *image, kv *mvccpb.KeyValue) {
	c := change{write: write{Key: strings.TrimPrefix(string(kv.Key), s.keys), Value: kv.Value}, revision: kv.ModRevision}
	if c.Key == headKey {
		m.setHead(c)
		return
	}
	m.set(c.write, true)
}

// readPage reads keys as of a revision; 0 is the latest.
func (s *Store) readPage(ctx context.Context, from, end string, revision int64) (*clientv3.GetResponse, error) {
	ctx, cancel := s.request(ctx)
	defer cancel()
	page, err := s.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(pageKeys), clientv3.WithRev(revision))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.keys, s.counts.explain(err))
	}
	if revision != 0 { // the header has the latest one, not that of the page
		page.Header.Revision = revision
	}
	return page, nil
}
