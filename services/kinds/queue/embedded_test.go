package queue

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/queue/internal/prack"
	"github.com/vespo-dev/vespo/services/kinds/queue/internal/stored"
	"github.com/vespo-dev/vespo/services/queues"
	"github.com/vespo-dev/vespo/services/queues/storetest"
)

// embedded is a line with its store in a file, by the functions that the handlers call, as a store of queues.
type embedded struct {
	line *line
}

// TestConformance checks that requests in a file have the life of those in an engine.
func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Open {
		path := filepath.Join(t.TempDir(), "requests.db")
		return func(t *testing.T) (storetest.Store, func() error) {
			store, err := stored.Open(path, time.Now(), slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			l := newLine("/q", nil, slog.New(slog.DiscardHandler))
			require.NoError(t, l.attach(store))
			return &embedded{line: l}, func() error {
				l.detach()
				l.close()
				return store.Close()
			}
		}
	})
}

func (e *embedded) Put(_ context.Context, _ string, r queues.Request, b queues.Bounds) error {
	if err := e.line.promise(b.Waiting); err != nil {
		return errors.Join(queues.ErrFull, err)
	}
	request := stored.Request{
		ID:          r.ID,
		Accepted:    time.Now(),
		Deadline:    time.Now().Add(r.TTL),
		LeaseTime:   r.Lease,
		Redeliver:   r.Redeliver,
		Environment: r.Environment,
	}
	if err := e.line.storeOf().Put(e.line.prefix, request, r.Body); err != nil {
		e.line.renege()
		return err
	}
	e.line.keep(request)
	return nil
}

func (e *embedded) Take(context.Context, string) (*queues.Order, error) {
	o := e.line.take()
	if o == nil {
		return nil, nil
	}
	body, err := e.line.load(o)
	if errors.Is(err, stored.ErrEnded) { // by its deadline, since it was taken
		return nil, nil
	}
	return &queues.Order{ID: o.stored, LeaseID: o.leaseID, Environment: o.environment, Body: body}, err
}

func (e *embedded) GiveBack(ctx context.Context, _, leaseID string) error {
	if e.line.leased(leaseID) == nil {
		return queues.ErrEnded
	}
	e.line.giveBack(ctx, &order{line: e.line, leaseID: leaseID})
	return nil
}

func (e *embedded) Answer(_ context.Context, _, leaseID string, r queues.Result) error {
	j := e.line.leased(leaseID)
	if j == nil {
		return queues.ErrEnded
	}
	sent := &reply{Answer: &prack.Answer{Status: r.Status, Header: r.Header, Body: r.Body}}
	if r.State == queues.Unusable {
		sent.unusable = errors.New("unusable")
	}
	if err := e.line.finish(j, sent); err != nil {
		return errors.Join(queues.ErrEnded, err)
	}
	e.line.leave(j)
	return nil
}

func (e *embedded) Result(_ context.Context, _, id string) (queues.Result, error) {
	r, err := e.line.storeOf().Result(e.line.prefix, id, time.Now())
	if errors.Is(err, stored.ErrNotFound) {
		err = errors.Join(queues.ErrNotFound, err)
	}
	return queues.Result{State: r.State, Status: r.Status, Header: r.Header, Body: r.Body}, err
}
