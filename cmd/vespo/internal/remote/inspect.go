package remote

import (
	"context"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// InspectCmd shows one service.
type InspectCmd struct {
	Prefix string `arg:"" help:"Path prefix of the service."`

	matchFlag
	clientFlags
}

// Run is called by kong.
func (c *InspectCmd) Run(ctx context.Context, s stdio.Streams) error {
	client, err := c.client(boundTo(c.Prefix, c.Match))
	if err != nil {
		return err
	}
	a, err := client.Get(ctx, "/services/inspect", c.query(c.Prefix))
	if err != nil {
		return err
	}
	return show(&c.clientFlags, s, a, writeService)
}
