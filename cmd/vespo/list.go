package main

import (
	"context"
	"fmt"
)

// listCmd lists all services.
type listCmd struct{ clientFlags }

// Run is called by kong.
func (c *listCmd) Run(ctx context.Context, s streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	a, err := client.get(ctx, "/services/list", nil)
	if err != nil {
		return err
	}
	if c.Format == formatJSON {
		return writeJSON(s, a)
	}
	var all struct {
		Services []service                  `json:"services"`
		Starting *struct{ Done, Total int } `json:"starting"`
	}
	if err := a.decode(&all); err != nil {
		return err
	}
	if all.Starting != nil {
		fmt.Fprintf(s.out, "starting, %d of %d\n", all.Starting.Done, all.Starting.Total)
	}
	if len(all.Services) == 0 && all.Starting == nil {
		_, err := fmt.Fprintln(s.out, "no services; add one with \"vespo add PREFIX FILE\"")
		return err
	}
	if len(all.Services) == 0 {
		return nil
	}
	return writeList(s.out, all.Services)
}
