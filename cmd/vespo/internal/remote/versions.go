package remote

import (
	"context"
	"fmt"
	"strconv"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// VersionsCmd lists the versions of a service.
type VersionsCmd struct {
	Prefix string `arg:"" help:"Path prefix of the service."`

	matchFlag
	clientFlags
}

// versions is the part of an API response about the versions of a service that the commands show.
type versions struct {
	Prefix   string        `json:"prefix"`
	Match    string        `json:"match"`
	Current  uint64        `json:"current"`
	Versions []liveVersion `json:"versions"`
	traffic
}

// liveVersion is a version with its share of the requests.
type liveVersion struct {
	Version
	Weight   float64 `json:"weight"` // percent
	State    string  `json:"state"`
	Requests uint64  `json:"requests"`
	Errors   uint64  `json:"errors"`
}

// Run is called by kong.
func (c *VersionsCmd) Run(ctx context.Context, s stdio.Streams) error {
	client, err := c.client(boundTo(c.Prefix, c.Match))
	if err != nil {
		return err
	}
	a, err := client.Get(ctx, "/services/versions", c.query(c.Prefix))
	if err != nil {
		return err
	}
	return show(&c.clientFlags, s, a, writeVersions)
}

// writeVersions writes a table of the versions, the highest number first.
func writeVersions(to *screen, all *versions) error {
	t := newTable(to)
	t.row("VERSION", "TRAFFIC", "AGE", "AUTHOR", "SIZE", "REQUESTS", "ERRORS", "DIGEST", "MESSAGE")
	for _, v := range all.Versions {
		requests, errors := "", ""
		if v.State != "" {
			requests, errors = fmt.Sprint(v.Requests), fmt.Sprint(v.Errors)
		}
		t.row(v.Number, percentText(v.Weight), to.age(v.Deployed), v.Author, v.Size, requests, errors, shortDigest(v.Digest), v.Message)
	}
	t.dropEmpty()
	for column, title := range t.rows[0] {
		switch title {
		case "VERSION", "TRAFFIC", "REQUESTS", "ERRORS":
			t.right = append(t.right, column)
		case "MESSAGE":
			t.cut = []int{column}
		}
	}
	t.paint = func(row int, _ string) paint {
		if row == 0 {
			return to.paint.Bold
		}
		return nil
	}
	if err := t.flush(); err != nil {
		return err
	}
	if all.Sticky == "" && all.Mirror == nil && all.Canary == nil {
		return nil
	}
	fmt.Fprintln(to)
	all.Split = nil // is in the table
	return all.traffic.write(to)
}

// percentText formats a share of the requests, such as "99.5%"; "" for none.
func percentText(percent float64) string {
	if percent == 0 {
		return ""
	}
	return strconv.FormatFloat(percent, 'f', -1, 64) + "%"
}

// DiffCmd shows the differences of two versions.
type DiffCmd struct {
	Prefix string  `arg:"" help:"Path prefix of the service."`
	A      *uint64 `arg:"" optional:"" help:"A version, by its number as \"vespo versions\" shows it; if neither is given, the current one is compared with a version on trial, or else with the one before."`
	B      *uint64 `arg:"" optional:"" help:"Another one; the current version if not given."`

	matchFlag
	clientFlags
}

// difference is the answer to a diff.
type difference struct {
	From    uint64   `json:"from"`
	To      uint64   `json:"to"`
	Changes []string `json:"changes"`
	Kept    []string `json:"kept"`
}

// Run is called by kong.
func (c *DiffCmd) Run(ctx context.Context, s stdio.Streams) error {
	client, err := c.client(boundTo(c.Prefix, c.Match))
	if err != nil {
		return err
	}
	query := c.query(c.Prefix)
	if c.A != nil {
		query.Set("from", strconv.FormatUint(*c.A, 10))
	}
	if c.B != nil {
		query.Set("to", strconv.FormatUint(*c.B, 10))
	}
	a, err := client.Get(ctx, "/services/diff", query)
	if err != nil {
		return err
	}
	return show(&c.clientFlags, s, a, writeDifference)
}

func writeDifference(to *screen, d *difference) error {
	fmt.Fprintf(to, "version %d -> %d:\n", d.From, d.To)
	for _, change := range d.Changes {
		fmt.Fprintln(to, stdio.Printable(change))
	}
	if len(d.Changes) == 0 {
		fmt.Fprintln(to, "no difference")
	}
	for _, option := range d.Kept {
		fmt.Fprintln(to, stdio.Printable(option)+" in both")
	}
	return nil
}
