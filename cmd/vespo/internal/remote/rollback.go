package remote

import (
	"context"
	"strconv"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// RollbackCmd returns a service to an earlier version.
type RollbackCmd struct {
	Prefix     string `arg:"" help:"Path prefix of the service."`
	Generation uint64 `placeholder:"N" help:"The version to go back to, by its generation as \"vespo inspect\" shows it; the one before the current if not given."`

	matchFlag
	clientFlags
}

// Run is called by kong.
func (c *RollbackCmd) Run(ctx context.Context, s stdio.Streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	query := c.query(c.Prefix)
	if c.Generation != 0 {
		query.Set("generation", strconv.FormatUint(c.Generation, 10))
	}
	a, err := client.Post(ctx, "/services/rollback", query)
	if err != nil {
		return err
	}
	return c.writeDeployed(s, client, a, "rolled back")
}
