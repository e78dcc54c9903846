package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"

	"github.com/vespo-dev/vespo/registry"
)

// refused reports whether etcd has answered that it did not make a change. After any other error it may have.
func refused(err error) bool {
	var answered rpctypes.EtcdError
	if !errors.As(err, &answered) {
		return false
	}
	switch answered.Code() {
	case codes.InvalidArgument, codes.ResourceExhausted, codes.PermissionDenied, codes.Unauthenticated, codes.FailedPrecondition:
		return true
	}
	return false
}

// settle finds out whether a commit without an answer was made. Reading is not enough: the request may still be on its way.
// So a transaction writes the head again, as it was before the commit, unless it has changed. After it the commit was either
// made, or its comparison fails for ever.
func (s *Store) settle(ctx context.Context, p *proposal, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for {
		made, err := s.fence(ctx, p)
		switch {
		case err == nil && made:
			return nil
		case err == nil:
			return s.unreachable(fmt.Errorf("the store did not answer in time, and has not made the change: %w", cause))
		case errors.Is(err, registry.ErrStale):
			return err
		}
		select {
		case <-time.After(firstRetry):
		case <-ctx.Done():
			return s.unreachable(fmt.Errorf("%w: %w; %w", registry.ErrUncertain, cause, err))
		case <-s.running.Done():
			return s.unreachable(fmt.Errorf("%w: %w; %w", registry.ErrUncertain, cause, errClosed))
		}
	}
}

// fence reports whether the commit was made. If it was not, it never will be.
func (s *Store) fence(ctx context.Context, p *proposal) (made bool, err error) {
	again, err := s.headOps(p.before)
	if err != nil {
		return false, err
	}
	request, cancel := s.request(ctx)
	defer cancel()
	answer, err := s.client.Txn(request).If(s.headIs(p.at)).Then(again...).Else(clientv3.OpGet(s.keys + headKey)).Commit()
	if err != nil {
		return false, err
	}
	if answer.Succeeded {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.at = max(s.at, answer.Header.Revision) // the state stays
		return false, nil
	}
	found := answer.Responses[0].GetResponseRange().Kvs
	if len(found) == 0 {
		return false, registry.ErrStale
	}
	h, err := decodeHead(found[0].Value)
	switch {
	case err != nil:
		return false, fmt.Errorf("%w: %w", registry.ErrUncertain, err)
	case h.Commit == p.id:
		s.committed(p, found[0].ModRevision)
		return true, nil
	case h.has(p.id): // and others after it, which the watch brings
		s.committed(p, p.at+1) // or a later revision: the answer that had it is lost
		return true, nil
	}
	return false, registry.ErrStale
}
