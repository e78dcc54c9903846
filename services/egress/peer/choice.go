package peer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/vespo-dev/vespo/registry"
)

// choice chooses the hosts that are asked for one blob. It is confined to one goroutine.
type choice struct {
	hosts    []*Host // that may still send it
	attempts int
	fails    map[*Host]int   // without progress since
	last     map[*Host]error // of the last attempt
	corrupt  map[*Host]bool
	slow     map[*Host]bool

	without, unsure error // of hosts that cannot send the blob, and of hosts that may have it
}

func newChoice(hosts []*Host, attempts int) *choice {
	return &choice{
		hosts:    slices.Clone(hosts),
		attempts: attempts,
		fails:    make(map[*Host]int),
		last:     make(map[*Host]error),
		corrupt:  make(map[*Host]bool),
		slow:     make(map[*Host]bool),
	}
}

// next returns the host to ask: the one with the fewest failures, of those one that was not too slow, of those the one with the
// fewest transfers, and of those the first. It returns nil if there is none.
func (c *choice) next() *Host {
	if len(c.hosts) == 0 {
		return nil
	}
	rank := func(h *Host) (fails, slow int, transfers int64) {
		if c.slow[h] {
			slow = 1
		}
		return c.fails[h], slow, h.transfers.Load()
	}
	return slices.MinFunc(c.hosts, func(a, b *Host) int {
		aFails, aSlow, aTransfers := rank(a)
		bFails, bSlow, bTransfers := rank(b)
		return cmp.Or(cmp.Compare(aFails, bFails), cmp.Compare(aSlow, bSlow), cmp.Compare(aTransfers, bTransfers))
	})
}

// hurries reports whether a transfer from a host is given up if it is too slow: the first time, if there is another host that
// was not.
func (c *choice) hurries(h *Host) bool {
	return !c.slow[h] && slices.ContainsFunc(c.hosts, func(other *Host) bool { return other != h && !c.slow[other] })
}

// pause waits before a host that has failed is asked again. It reports whether ctx goes on.
func (c *choice) pause(ctx context.Context, h *Host) bool {
	fails := c.fails[h]
	if fails == 0 {
		return ctx.Err() == nil
	}
	wait := Pause(fails)
	var refused *StatusError
	if errors.As(c.last[h], &refused) {
		wait = max(wait, min(refused.RetryAfter, maxPause))
	}
	return Sleep(ctx, wait)
}

// failed notes the error of a host. progress: some of the blob has come.
func (c *choice) failed(h *Host, err error, progress bool) {
	if errors.Is(err, errSlow) {
		c.slow[h], c.last[h] = true, err
		return
	}
	if progress {
		clear(c.fails) // slowly, but on its way
	}
	c.fails[h]++
	c.last[h] = err
	switch {
	case errors.Is(err, errGone):
		c.without = cmp.Or(c.without, fmt.Errorf("%w: %w", registry.ErrBlobMissing, err))
	case errors.Is(err, registry.ErrBlobCorrupt) && c.corrupt[h]: // twice: it is not the way
		c.without = err
	case c.fails[h] >= c.attempts, refusesCaller(err):
		c.unsure = err
	default:
		c.corrupt[h] = errors.Is(err, registry.ErrBlobCorrupt)
		return
	}
	c.hosts = slices.DeleteFunc(c.hosts, func(o *Host) bool { return o == h })
}

// failure returns the error after the last host.
func (c *choice) failure() error { return cmp.Or(c.unsure, c.without, errNoHost) }
