package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// quietTime is how long a host must have nothing in progress until it counts as drained. Hosts announce that every second.
const quietTime = 3 * time.Second

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
	var quiet time.Time // when the host was first seen without work; zero: it has some
	last := errors.New("the server has not answered")
	for {
		left, err := c.left(waiting, client)
		switch {
		case waiting.Err() != nil:
		case err != nil:
			last, quiet = err, time.Time{}
		case left != "":
			last, quiet = errors.New(left), time.Time{}
		case quiet.IsZero():
			last, quiet = errors.New("it has nothing in progress, but not for long"), time.Now()
		case time.Since(quiet) >= quietTime:
			return nil
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

// left returns what the host has not ended, in words; "" if it has nothing in progress.
func (c *HostsDrainCmd) left(ctx context.Context, client *Client) (string, error) {
	ctx, stop := context.WithTimeout(ctx, answerTimeout)
	defer stop()
	a, err := client.Get(ctx, "/services/hosts", nil)
	if err != nil {
		return "", err
	}
	var all hosts
	if err := a.Decode(&all); err != nil {
		return "", err
	}
	i := slices.IndexFunc(all.Hosts, func(h oneHost) bool { return h.Address == c.Host })
	switch {
	case i < 0 || all.Hosts[i].Away:
		return "it is not up, so it is not known whether it has ended what it had begun", nil
	case !all.Hosts[i].Draining:
		return "its mark was removed", nil
	case all.Hosts[i].Work == nil:
		return "it does not know yet that it is being drained", nil
	case *all.Hosts[i].Work == hostWork{}:
		return "", nil
	}
	w := all.Hosts[i].Work
	return fmt.Sprintf("in progress are requests: %d, leases of its queues: %d, events: %d", w.Requests, w.Leases, w.Events), nil
}
