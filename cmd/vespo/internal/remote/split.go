package remote

import (
	"context"
	"fmt"
	"strings"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// SplitCmd divides the requests of a service among its versions.
type SplitCmd struct {
	Prefix string   `arg:"" help:"Path prefix of the service."`
	Shares []string `arg:"" name:"version=percent" help:"The shares of the versions, such as 3=90 4=10; 4=100 gives all to version 4."`
	Sticky string   `placeholder:"cookie:NAME|header:NAME" help:"What keeps a client at one version: a cookie, which the server sets if it is missing, or a header."`

	matchFlag
	clientFlags
}

// Run is called by kong.
func (c *SplitCmd) Run(ctx context.Context, s stdio.Streams) error {
	client, err := c.client(boundTo(c.Prefix, c.Match))
	if err != nil {
		return err
	}
	query := c.query(c.Prefix)
	query["split"] = c.Shares
	if c.Sticky != "" {
		query.Set("sticky", c.Sticky)
	}
	a, err := client.Post(ctx, "/services/split", query)
	if err != nil {
		return err
	}
	return show(&c.clientFlags, s, a, func(to *screen, changed *Service) error {
		if changed.Traffic == nil || len(changed.Traffic.Split) == 0 {
			_, err := fmt.Fprintf(to, "%s: version %d gets all requests\n", stdio.Printable(changed.bound()), changed.Number)
			return err
		}
		fmt.Fprintf(to, "%s:\n", stdio.Printable(changed.bound()))
		return changed.Traffic.write(to)
	})
}

// traffic describes how the requests of a service are divided. Package admin documents the fields.
type traffic struct {
	Split  []share `json:"split"`
	Sticky string  `json:"sticky"`
	Mirror *struct {
		share
		Headers                      []string `json:"headers"`
		Compared, Different, Dropped uint64
		Examples                     []string `json:"examples"`
	} `json:"mirror"`
	Canary *trial `json:"canary"`
}

// share is the share of a version.
type share struct {
	Number uint64  `json:"number"`
	Weight float64 `json:"weight"` // percent
}

// write writes a line for each part.
func (t *traffic) write(to *screen) error {
	for _, s := range t.Split {
		fmt.Fprintf(to, "version %d gets %s of the requests\n", s.Number, percentText(s.Weight))
	}
	if t.Sticky != "" {
		fmt.Fprintf(to, "clients stay at their version by %s\n", stdio.Printable(t.Sticky))
	}
	if m := t.Mirror; m != nil {
		fmt.Fprintf(to, "version %d gets a copy of %s of the requests: %d compared, %d different, %d dropped\n", m.Number, percentText(m.Weight), m.Compared, m.Different, m.Dropped)
		for _, example := range m.Examples {
			fmt.Fprintf(to, "  %s\n", stdio.Printable(example))
		}
	}
	if t.Canary != nil {
		t.Canary.write(to)
	}
	return nil
}

// brief describes the shares of the versions and a running canary in one line; "" if there are none.
func (t *traffic) brief(to *screen) string {
	if t == nil {
		return ""
	}
	var parts []string
	for _, s := range t.Split {
		parts = append(parts, fmt.Sprintf("%s to version %d", percentText(s.Weight), s.Number))
	}
	if m := t.Mirror; m != nil {
		parts = append(parts, fmt.Sprintf("a copy of %s to version %d", percentText(m.Weight), m.Number))
	}
	if c := t.Canary; c != nil && c.State == "running" {
		parts = append(parts, "the canary ends in "+leftText(c.Ends.Sub(to.now)))
	}
	return strings.Join(parts, ", ")
}

// addTo adds rows to the table of a service.
func (t *traffic) addTo(to *table) {
	if t == nil {
		return
	}
	for _, arm := range t.Split {
		to.row("traffic", fmt.Sprintf("%s to version %d", percentText(arm.Weight), arm.Number))
	}
	if c := t.Canary; c != nil {
		to.row("canary", strings.TrimSuffix(fmt.Sprintf("version %d %s: %s", c.Number, c.State, c.Reason), ": "))
	}
}
