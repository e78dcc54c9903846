package remote

import (
	"context"
	"fmt"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// ListCmd lists all services.
type ListCmd struct{ clientFlags }

// Run is called by kong.
func (c *ListCmd) Run(ctx context.Context, s stdio.Streams) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	a, err := client.Get(ctx, "/services/list", nil)
	if err != nil {
		return err
	}
	if c.Format == formatJSON {
		return writeJSON(s, a)
	}
	var all struct {
		Services []Service                  `json:"services"`
		Starting *struct{ Done, Total int } `json:"starting"`
	}
	if err := a.Decode(&all); err != nil {
		return err
	}
	if all.Starting != nil {
		fmt.Fprintf(s.Out, "starting, %d of %d\n", all.Starting.Done, all.Starting.Total)
	}
	if len(all.Services) == 0 && all.Starting == nil {
		_, err := fmt.Fprintln(s.Out, "no services; add one with \"vespo add PREFIX FILE\"")
		return err
	}
	if len(all.Services) == 0 {
		return nil
	}
	return writeList(s.Out, all.Services)
}
