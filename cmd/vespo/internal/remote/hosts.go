package remote

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// HostsCmd works with the hosts of a catalogue that several have.
type HostsCmd struct {
	List    HostsListCmd    `cmd:"" aliases:"ls" default:"withargs" help:"List the hosts, and how far they are (without a command, too)."`
	Drain   HostsDrainCmd   `cmd:"" help:"Let a host be drained: it is not ready, runs no schedules, and ends what it has begun."`
	Undrain HostsUndrainCmd `cmd:"" help:"End that a host is drained."`
}

// HostsListCmd lists the hosts.
type HostsListCmd struct {
	clientFlags
}

// hosts is the response to a request for the hosts.
type hosts struct {
	Store string    `json:"store"`
	Hosts []oneHost `json:"hosts"`
}

// oneHost is a host in it.
type oneHost struct {
	Address     string    `json:"address"`
	Labels      []string  `json:"labels"`
	Version     string    `json:"version"`
	Started     time.Time `json:"started"`
	Generation  uint64    `json:"generation"`
	Lag         uint64    `json:"lag"`
	Failing     int       `json:"failing"`
	Unavailable []string  `json:"unavailable"`
	Slots       int       `json:"slots"`
	FreeSlots   int       `json:"free_slots"`
	Draining    bool      `json:"draining"`
	Work        *hostWork `json:"work"` // nil: the host does not know yet that it is being drained
	Told        uint64    `json:"told"`
	Away        bool      `json:"away"`
}

// state describes the host in a word.
func (h *oneHost) state() string {
	switch {
	case h.Away:
		return "away"
	case h.Draining:
		return "draining"
	}
	return "up"
}

// Run is called by kong.
func (c *HostsListCmd) Run(ctx context.Context, s stdio.Streams) error {
	client, err := c.client("")
	if err != nil {
		return err
	}
	a, err := client.Get(ctx, "/services/hosts", nil)
	if err != nil {
		return err
	}
	return show(&c.clientFlags, s, a, writeHosts)
}

// writeHosts writes a table of the hosts.
func writeHosts(to *screen, all *hosts) error {
	if all.Store == "" {
		_, err := fmt.Fprintln(to, "the server's catalogue is its own: there are no other hosts with it")
		return err
	}
	t := newTable(to)
	t.row("HOST", "STATE", "VERSION", "AGE", "GENERATION", "LAG", "FREE SLOTS", "FAILING", "SERVICES", "LABELS")
	for _, h := range all.Hosts {
		if h.Away {
			t.row(h.Address, h.state(), "-", "-", "-", "-", "-", "-", "-", "-")
			continue
		}
		free := fmt.Sprintf("%d of %d", h.FreeSlots, h.Slots)
		t.row(h.Address, h.state(), h.Version, to.age(h.Started), h.Generation, h.Lag, free, h.Failing, strings.Join(h.Unavailable, ", "), strings.Join(h.Labels, ", "))
	}
	t.right = []int{4, 5, 6, 7}
	return t.flush()
}

// HostsDrainCmd lets a host be drained.
type HostsDrainCmd struct {
	Host string        `arg:"" help:"Address of the host, as vespo hosts shows it."`
	Wait time.Duration `placeholder:"DURATION" default:"0s" help:"Wait for this long until the host has ended what it has begun; fail if it has not (${default}: do not wait)."`

	clientFlags
}

// Validate is called by kong.
func (c *HostsDrainCmd) Validate() error {
	if c.Wait < 0 {
		return fmt.Errorf("--wait is %s: it must be 0 or more", c.Wait)
	}
	return nil
}

// Run is called by kong.
func (c *HostsDrainCmd) Run(ctx context.Context, s stdio.Streams) error {
	if err := drainHost(ctx, s, &c.clientFlags, "drain", c.Host); err != nil || c.Wait == 0 {
		return err
	}
	if err := c.await(ctx); err != nil {
		return err
	}
	if c.Format == formatJSON {
		return nil
	}
	_, err := fmt.Fprintf(s.Out, "%s has nothing in progress\n", stdio.Printable(c.Host))
	return err
}

// HostsUndrainCmd ends that a host is drained.
type HostsUndrainCmd struct {
	Host string `arg:"" help:"Address of the host, as vespo hosts shows it."`

	clientFlags
}

// Run is called by kong.
func (c *HostsUndrainCmd) Run(ctx context.Context, s stdio.Streams) error {
	return drainHost(ctx, s, &c.clientFlags, "undrain", c.Host)
}

// drained is the response to a request to drain a host, or to end that.
type drained struct {
	Host     string `json:"host"`
	Draining bool   `json:"draining"`
}

func drainHost(ctx context.Context, s stdio.Streams, f *clientFlags, action, host string) error {
	client, err := f.client("")
	if err != nil {
		return err
	}
	a, err := client.Post(ctx, "/services/hosts/"+action, url.Values{"host": {host}})
	if err != nil {
		return err
	}
	return show(f, s, a, func(to *screen, d *drained) error {
		state := "is not drained any more"
		if d.Draining {
			state = "is being drained"
		}
		_, err := fmt.Fprintf(to, "%s %s\n", stdio.Printable(d.Host), state)
		return err
	})
}
