package main

import (
	"context"
	"strconv"
)

// rollbackCmd returns a service to an earlier version.
type rollbackCmd struct {
	Prefix     string `arg:"" help:"Path prefix of the service."`
	Generation uint64 `placeholder:"N" help:"The version to go back to, by its generation as \"vespo inspect\" shows it; the one before the current if not given."`

	matchFlag
	clientFlags
}

// Run is called by kong.
func (c *rollbackCmd) Run(ctx context.Context, s streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	query := c.query(c.Prefix)
	if c.Generation != 0 {
		query.Set("generation", strconv.FormatUint(c.Generation, 10))
	}
	a, err := client.post(ctx, "/services/rollback", query)
	if err != nil {
		return err
	}
	return c.writeDeployed(s, client, a, "rolled back")
}
