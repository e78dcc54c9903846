package remote

import (
	"context"
	"fmt"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// CacheCmd has the commands for the answers that a server keeps.
type CacheCmd struct {
	Purge CachePurgeCmd `cmd:"" help:"Remove all kept answers of a service."`
}

// CachePurgeCmd removes the kept answers of a service.
type CachePurgeCmd struct {
	Prefix string `arg:"" help:"Path prefix of the service."`

	matchFlag
	clientFlags
}

// purged is the answer to a purge.
type purged struct {
	Service
	Purged int `json:"purged"`
}

// Run is called by kong.
func (c *CachePurgeCmd) Run(ctx context.Context, s stdio.Streams) error {
	client, err := c.client(boundTo(c.Prefix, c.Match))
	if err != nil {
		return err
	}
	a, err := client.Post(ctx, "/services/cache/purge", c.query(c.Prefix))
	if err != nil {
		return err
	}
	return show(&c.clientFlags, s, a, writePurged)
}

func writePurged(to *screen, p *purged) error {
	_, err := fmt.Fprintf(to, "removed %s of %s\n", counted(p.Purged, "answer"), stdio.Printable(p.bound()))
	return err
}
