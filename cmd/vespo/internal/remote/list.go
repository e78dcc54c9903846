package remote

import (
	"context"
	"fmt"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// ListCmd lists all services.
type ListCmd struct {
	Wide bool `short:"w" help:"Show all columns, and cut no text to fit the terminal."`

	clientFlags
}

// Run is called by kong.
func (c *ListCmd) Run(ctx context.Context, s stdio.Streams) error {
	client, err := c.client("")
	if err != nil {
		return err
	}
	a, err := client.Get(ctx, "/services/list", nil)
	if err != nil {
		return err
	}
	return show(&c.clientFlags, s, a, func(to *screen, all *listed) error { return writeAll(to, all, c.Wide) })
}

// listed is the response to a request for all services.
type listed struct {
	Services []Service                  `json:"services"`
	Starting *struct{ Done, Total int } `json:"starting"` // nil once the server is ready
	Follow   *following                 `json:"follow"`   // nil unless the server follows another one
	Store    *commonStore               `json:"store"`    // nil unless the catalogue is in a common store
}

func writeAll(to *screen, all *listed, wide bool) error {
	if all.Starting != nil {
		fmt.Fprintf(to, "starting, %d of %d\n", all.Starting.Done, all.Starting.Total)
	}
	all.Follow.write(to)
	all.Store.write(to)
	switch {
	case len(all.Services) == 0 && all.Follow != nil:
		return nil
	case len(all.Services) == 0 && all.Starting == nil:
		_, err := fmt.Fprintln(to, "no services; add one with \"vespo add PREFIX FILE\"")
		return err
	case len(all.Services) == 0:
		return nil
	}
	return writeList(to, all.Services, wide)
}

// writeList writes a table with one row per service.
func writeList(to *screen, all []Service, wide bool) error {
	t := newTable(to)
	titles := []any{"PREFIX", "STATE", "KIND", "TARGET", "IN FLIGHT", "ERRORS", "AGE"}
	t.cut, t.right = []int{3, 0}, []int{4, 5, 6}
	if wide {
		titles = append(titles, "REQUESTS", "MEMORY", "ISOLATION", "SIZE", "GENERATION", "DIGEST", "LAST USED")
		t.cut, t.right = nil, append(t.right, 7)
	}
	t.row(titles...)
	for _, s := range all {
		values := []any{s.bound(), s.State, s.Kind, s.target(), s.InFlight, s.Errors, to.age(s.Deployed)}
		values = append(values, s.Requests, s.Memory, s.Isolation, s.Size, s.Generation, shortDigest(s.Digest), to.age(s.LastUsed))
		t.row(values[:len(titles)]...)
	}
	t.paint = func(row int, column string) paint {
		switch {
		case row == 0:
			return to.paint.Bold
		case column == "STATE":
			return statePaint(to, all[row-1].State)
		case column == "ERRORS" && all[row-1].Errors > 0:
			return to.paint.Red
		}
		return nil
	}
	if err := t.flush(); err != nil {
		return err
	}
	writeDivided(to, all)
	return nil
}

// writeDivided writes a line for each service whose requests several versions share.
func writeDivided(to *screen, all []Service) {
	gap := "\n"
	for _, s := range all {
		if text := s.Traffic.brief(to); text != "" {
			fmt.Fprintf(to, "%s%s: %s\n", gap, stdio.Printable(s.bound()), text)
			gap = ""
		}
	}
}

// statePaint returns the colour of a state that needs attention, else nil.
func statePaint(to *screen, state string) paint {
	switch state {
	case "failed", "missing":
		return to.paint.Red
	case "starting":
		return to.paint.Yellow
	}
	return nil
}
