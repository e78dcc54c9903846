package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// quietTimes is how often a host must announce that it has nothing in progress until it counts as drained, one time after the other.
// Hosts announce that every second.
const quietTimes = 3

// quiet counts the announcements of a host that has nothing in progress.
type quiet struct {
	started time.Time // of the host
	first   uint64    // announcement
	counts  bool
}

// over reports whether the host has been quiet for long enough.
func (q *quiet) over(h *oneHost) bool {
	if !q.counts || !q.started.Equal(h.Started) || h.Told < q.first {
		*q = quiet{started: h.Started, first: h.Told, counts: true}
	}
	return h.Told-q.first >= quietTimes
}

// hostWork is what a host has begun and not ended.
type hostWork struct {
	Requests int `json:"requests"`
	Leases   int `json:"leases"`
	Events   int `json:"events"`
}

// await waits until the host has nothing in progress. Failed questions are repeated, as the server or its store may be away
// for a moment.
func (c *HostsDrainCmd) await(ctx context.Context) error {
	client, err := c.client("")
	if err != nil {
		return err
	}
	waiting, stop := context.WithTimeout(ctx, c.Wait)
	defer stop()
	again := time.NewTicker(time.Second)
	defer again.Stop()
	var calm quiet
	last := errors.New("the server has not answered")
	for {
		host, left, err := c.left(waiting, client)
		switch {
		case waiting.Err() != nil:
		case err != nil:
			last, calm = err, quiet{}
		case left != "":
			last, calm = errors.New(left), quiet{}
		case calm.over(host):
			return nil
		default:
			last = errors.New("it had nothing in progress when it last announced that, but not for long: it may be cut off from the store since")
		}
		select {
		case <-again.C:
		case <-waiting.Done():
			if err := ctx.Err(); err != nil {
				return err
			}
			return fmt.Errorf("%s is not drained after %s: %w; it is still being drained, until vespo hosts undrain", stdio.Printable(c.Host), c.Wait, last)
		}
	}
}

// left returns the host, and what it has not ended, in words; "" if it has nothing in progress.
func (c *HostsDrainCmd) left(ctx context.Context, client *Client) (h *oneHost, left string, err error) {
	ctx, stop := client.briefly(ctx)
	defer stop()
	a, err := client.Get(ctx, "/services/hosts", nil)
	if err != nil {
		return nil, "", err
	}
	var all hosts
	if err := a.Decode(&all); err != nil {
		return nil, "", err
	}
	i := slices.IndexFunc(all.Hosts, func(h oneHost) bool { return h.Address == c.Host })
	if i < 0 || all.Hosts[i].Away {
		return nil, "it is not up, so it is not known whether it has ended what it had begun", nil
	}
	h = &all.Hosts[i]
	switch {
	case !h.Draining:
		return h, "its mark was removed", nil
	case h.Work == nil:
		return h, "it does not know yet that it is being drained", nil
	case *h.Work == hostWork{}:
		return h, "", nil
	}
	w := h.Work
	return h, fmt.Sprintf("in progress are requests: %d, leases of its queues: %d, events: %d", w.Requests, w.Leases, w.Events), nil
}
