package remote

import (
	"context"
	"fmt"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// RemoveCmd removes a service.
type RemoveCmd struct {
	Prefix string `arg:"" help:"Path prefix of the service."`

	matchFlag
	clientFlags
}

// Run is called by kong.
func (c *RemoveCmd) Run(ctx context.Context, s stdio.Streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	a, err := client.Post(ctx, "/services/remove", c.query(c.Prefix))
	if err != nil {
		return err
	}
	return show(&c.clientFlags, s, a, writeRemoved)
}

func writeRemoved(to *screen, removed *Service) error {
	_, err := fmt.Fprintf(to, "removed %s\n", stdio.Printable(removed.bound()))
	return err
}
