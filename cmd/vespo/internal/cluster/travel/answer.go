package travel

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

var (
	errSilent = errors.New("the host did not answer in time")
	errSlow   = errors.New("the host sends slower than modules are compiled")
)

// answer is the body of an answer, which ends early if it is slow.
type answer struct {
	signature string
	body      io.ReadCloser
	counts    *counts
	ctx       context.Context
	stop      context.CancelFunc
	window    atomic.Int64 // bytes since the last look at them
	end       chan struct{}
	ended     chan struct{} // closed when no look is in progress
}

// open sends a request.
func (x *Exchange) open(ctx context.Context, h Host, query url.Values) (*answer, error) {
	ctx, stop := context.WithTimeout(ctx, bodyTime)
	ctx, cancel := context.WithCancelCause(ctx)
	header := time.AfterFunc(x.cfg.HeaderTime, func() { cancel(errSilent) })
	defer header.Stop()
	resp, err := h.Get(ctx, Path, query, http.Header{"Accept-Encoding": {"identity"}})
	if err != nil {
		stop()
		cancel(nil)
		return nil, err
	}
	a := &answer{
		signature: resp.Header.Get(signatureHeader),
		body:      resp.Body,
		counts:    &x.counts,
		ctx:       ctx,
		stop:      stop,
		end:       make(chan struct{}),
		ended:     make(chan struct{}),
	}
	go a.watch(x.cfg.Window, cancel)
	return a, nil
}

// watch ends the answer in the first window with less than minRate.
func (a *answer) watch(window time.Duration, cancel context.CancelCauseFunc) {
	defer close(a.ended)
	defer cancel(nil)
	look := time.NewTicker(window)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			if a.window.Swap(0) < int64(window.Seconds()*minRate) {
				cancel(errSlow)
			}
		case <-a.end:
			return
		}
	}
}

// Read implements io.Reader.
func (a *answer) Read(p []byte) (int, error) {
	n, err := a.body.Read(p)
	a.window.Add(int64(n))
	a.counts.receivedBytes.Add(int64(n))
	return n, err
}

// reason returns the reason for which the answer ended early, if it did, in place of an error of a read.
func (a *answer) reason(err error) error {
	if err != nil && a.ctx.Err() != nil {
		return context.Cause(a.ctx)
	}
	return err
}

func (a *answer) close() {
	close(a.end)
	<-a.ended
	a.stop()
	_ = a.body.Close() // it was read, or is of no use
}
