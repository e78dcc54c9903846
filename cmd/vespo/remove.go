package main

import (
	"context"
	"fmt"
)

// removeCmd removes a service.
type removeCmd struct {
	Prefix string `arg:"" help:"Path prefix of the service."`

	matchFlag
	clientFlags
}

// Run is called by kong.
func (c *removeCmd) Run(ctx context.Context, s streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	a, err := client.post(ctx, "/services/remove", c.query(c.Prefix))
	if err != nil {
		return err
	}
	if c.Format == formatJSON {
		return writeJSON(s, a)
	}
	var removed service
	if err := a.decode(&removed); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "removed %s\n", printable(removed.bound()))
	return err
}
