package remote

import (
	"context"
	"fmt"
	"io"

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
	return show(&c.clientFlags, s, a, writeAll)
}

// listed is the response to a request for all services.
type listed struct {
	Services []Service                  `json:"services"`
	Starting *struct{ Done, Total int } `json:"starting"` // nil once the server is ready
}

func writeAll(w io.Writer, all *listed) error {
	if all.Starting != nil {
		fmt.Fprintf(w, "starting, %d of %d\n", all.Starting.Done, all.Starting.Total)
	}
	if len(all.Services) == 0 && all.Starting == nil {
		_, err := fmt.Fprintln(w, "no services; add one with \"vespo add PREFIX FILE\"")
		return err
	}
	if len(all.Services) == 0 {
		return nil
	}
	return writeList(w, all.Services)
}
