package remote

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// HostsCmd lists the hosts of a catalogue that several have.
type HostsCmd struct {
	clientFlags
}

// hosts is the response to a request for the hosts.
type hosts struct {
	Store string `json:"store"`
	Hosts []struct {
		Address     string    `json:"address"`
		Version     string    `json:"version"`
		Started     time.Time `json:"started"`
		Generation  uint64    `json:"generation"`
		Lag         uint64    `json:"lag"`
		Failing     int       `json:"failing"`
		Unavailable []string  `json:"unavailable"`
	} `json:"hosts"`
}

// Run is called by kong.
func (c *HostsCmd) Run(ctx context.Context, s stdio.Streams) error {
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
	t.row("HOST", "VERSION", "AGE", "GENERATION", "LAG", "FAILING", "SERVICES")
	for _, h := range all.Hosts {
		t.row(h.Address, h.Version, to.age(h.Started), h.Generation, h.Lag, h.Failing, strings.Join(h.Unavailable, ", "))
	}
	t.right = []int{3, 4, 5}
	return t.flush()
}
