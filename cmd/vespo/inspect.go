package main

import "context"

// inspectCmd shows one service.
type inspectCmd struct {
	Prefix string `arg:"" help:"Path prefix of the service."`

	matchFlag
	clientFlags
}

// Run is called by kong.
func (c *inspectCmd) Run(ctx context.Context, s streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	a, err := client.get(ctx, "/services/inspect", c.query(c.Prefix))
	if err != nil {
		return err
	}
	if c.Format == formatJSON {
		return writeJSON(s, a)
	}
	var found service
	if err := a.decode(&found); err != nil {
		return err
	}
	return writeService(s.out, &found)
}
