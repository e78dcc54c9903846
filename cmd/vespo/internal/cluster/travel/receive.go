package travel

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/services/egress/peer"
)

// Bounds of the receiver.
const (
	maxReceiving = 8                // answers at a time
	reserved     = 2                // of them for services that wait
	maxHosts     = 3                // that are asked for one module
	bodyTime     = 30 * time.Second // of a whole answer
	minRate      = 1 << 20          // bytes a second of an answer: compiling is faster than a slower one
	vainTime     = 5 * time.Second  // after which a module is asked for again that no host had
	failedPause  = 10 * time.Second // for which a host is not asked after a failure
	forgedPause  = 5 * time.Minute  // after an answer that is refused
	warnEvery    = time.Minute      // between two log lines about a host
	maxVain      = 20_000           // entries
)

// alike returns the hosts to ask.
func (x *Exchange) alike(own *attached) (hosts []Host) {
	all := x.cfg.Hosts()
	now := time.Now()
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, h := range all {
		if h.Likeness == own.likeness && len(h.Key) > 0 && !now.Before(x.avoided[h.String()]) && len(hosts) < maxHosts {
			hosts = append(hosts, h)
		}
	}
	return hosts
}

// Module implements engine.Elsewhere.
func (x *Exchange) Module(ctx context.Context, module [sha256.Size]byte) (p *engine.Parcel) {
	x.ask(ctx, module, "module", func(h Host, head *head, snapshot []byte) error {
		if head.Module != module {
			return fmt.Errorf("%w: it is the code of another module", errForged)
		}
		p = head.parcel(snapshot)
		p.From = h.String()
		return nil
	})
	return p
}

// Snapshot implements engine.Elsewhere.
func (x *Exchange) Snapshot(ctx context.Context, id engine.SnapshotID) (content []byte) {
	x.ask(ctx, sum(id), "snapshot", func(_ Host, head *head, snapshot []byte) error {
		if head.Snapshot != sum(id) || head.SnapshotBytes == 0 {
			return fmt.Errorf("%w: it is another snapshot", errForged)
		}
		content = snapshot
		return nil
	})
	return content
}

// ask asks the hosts in turn until take accepts an answer. take returns an error that matches errForged for one that does not
// fit the question.
func (x *Exchange) ask(ctx context.Context, what sum, kind string, take func(Host, *head, []byte) error) {
	own := x.engine.Load()
	if own == nil || x.inVain(what) {
		return
	}
	select {
	case x.turns <- struct{}{}:
		defer func() { <-x.turns }()
	case <-ctx.Done():
		return
	}
	for _, h := range x.alike(own) {
		head, snapshot, err := x.get(ctx, own, h, kind, what)
		if err == nil && head.Likeness != own.likeness {
			err = fmt.Errorf("%w: it is for another program or processor", errForged)
		}
		if err == nil {
			err = take(h, head, snapshot)
		}
		switch {
		case err == nil:
			x.counts.received.Add(1)
			return
		case ctx.Err() != nil:
			return
		case !missing(err):
			x.failed(h, err)
		}
	}
	x.counts.missing.Add(1)
	x.noteVain(what)
}

// get sends one question.
func (x *Exchange) get(ctx context.Context, own *attached, h Host, kind string, what sum) (*head, []byte, error) {
	a, err := x.open(ctx, h, url.Values{kind: {hex.EncodeToString(what[:])}, "likeness": {own.likeness}})
	if err != nil {
		return nil, nil, err
	}
	defer a.close()
	head, snapshot, err := read(a, a.signature, h.Key)
	return head, snapshot, a.reason(err)
}

// Code implements engine.Elsewhere.
func (x *Exchange) Code(ctx context.Context, p *engine.Parcel, to io.Writer) error {
	own, hosts := x.engine.Load(), x.cfg.Hosts()
	i := slices.IndexFunc(hosts, func(h Host) bool { return h.String() == p.From })
	if i < 0 || own == nil {
		return errors.New("the host with the code has left")
	}
	h := hosts[i]
	a, err := x.open(ctx, h, url.Values{"code": {hex.EncodeToString(p.Code[:])}, "likeness": {own.likeness}})
	if err != nil {
		if !missing(err) {
			x.failed(h, err)
		}
		return err
	}
	defer a.close()
	got := sha256.New()
	n, err := io.Copy(io.MultiWriter(to, got), io.LimitReader(a, p.SizeBytes))
	err = a.reason(err)
	switch {
	case err == nil && n < p.SizeBytes:
		err = io.ErrUnexpectedEOF
	case err == nil && sum(got.Sum(nil)) != p.Sum:
		err = fmt.Errorf("%w: the file has another digest than was signed", errForged)
	}
	if err != nil && ctx.Err() == nil {
		x.failed(h, err)
	}
	return err
}

// missing reports whether a host has said that it does not have something, or has no time.
func missing(err error) bool {
	var refused *peer.StatusError
	return errors.As(err, &refused) && (refused.Status == http.StatusNotFound || refused.Status == http.StatusServiceUnavailable)
}

// failed counts and logs a failure, and has the host not be asked for some time.
func (x *Exchange) failed(h Host, err error) {
	forged := errors.Is(err, errForged)
	pause := failedPause
	if forged {
		pause = forgedPause
		x.counts.refused.Add(1)
	} else {
		x.counts.failed.Add(1)
	}
	now := time.Now()
	x.mu.Lock()
	x.avoided[h.String()] = now.Add(pause)
	warn := forged && now.Sub(x.warned[h.String()]) > warnEvery
	if warn {
		x.warned[h.String()] = now
	}
	x.mu.Unlock()
	if warn {
		x.cfg.Log.Error("compiled code of another host is refused, and made here; that host may be broken into, or its disk damaged", "host", h.String(), "error", err)
	} else {
		x.cfg.Log.Debug("compiled code could not be fetched", "host", h.String(), "error", err)
	}
}

// inVain reports whether no host had something a moment ago.
func (x *Exchange) inVain(what sum) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return time.Now().Before(x.vain[what])
}

func (x *Exchange) noteVain(what sum) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.vain) >= maxVain {
		clear(x.vain)
	}
	x.vain[what] = time.Now().Add(vainTime)
}
