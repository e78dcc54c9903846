package remote

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// UsageCmd shows what services cost.
type UsageCmd struct {
	Prefix   string `arg:"" optional:"" help:"Path prefix of a service."`
	Since    string `placeholder:"TIME" help:"Begin at this time: 2026-11-01, 2026-11, 2026-11-01T12:00:00Z, or 12h or 30d ago. Default: 30d."`
	Until    string `placeholder:"TIME" help:"End at this time, given likewise. Default: now."`
	By       string `enum:"hour,day,month" default:"day" placeholder:"PERIOD" help:"Add up by hour, day or month, in UTC (${default})."`
	Versions bool   `help:"Show each version of a service in a row of its own."`
	CSV      bool   `name:"csv" help:"Print CSV, with exact numbers."`

	matchFlag
	clientFlags
}

// usageRows is a response.
type usageRows struct {
	By   string `json:"by"`
	Rows []struct {
		Begin         time.Time `json:"begin"`
		Service       string    `json:"service"`
		Version       uint64    `json:"version"`
		Requests      uint64    `json:"requests"`
		Failed        uint64    `json:"failed"`
		GuestSeconds  float64   `json:"guest_seconds"`
		Work          uint64    `json:"work"`
		MemorySeconds float64   `json:"memory_mib_seconds"`
		BytesIn       int64     `json:"bytes_in"`
		BytesOut      int64     `json:"bytes_out"`
	} `json:"rows"`
}

// Run is called by kong.
func (c *UsageCmd) Run(ctx context.Context, s stdio.Streams) error {
	query, service := url.Values{}, ""
	if c.Prefix != "" || c.Match != "" {
		query, service = c.query(c.Prefix), boundTo(c.Prefix, c.Match)
	}
	for name, value := range map[string]string{"since": c.Since, "until": c.Until, "by": c.By} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if c.Versions {
		query.Set("versions", "true")
	}
	if c.CSV {
		query.Set("format", "csv")
	}
	client, err := c.client(service)
	if err != nil {
		return err
	}
	a, err := client.Get(ctx, "/services/usage", query)
	if err != nil {
		return err
	}
	if c.CSV {
		_, err := s.Out.Write(a.Body)
		return err
	}
	return show(&c.clientFlags, s, a, func(to *screen, all *usageRows) error {
		if len(all.Rows) == 0 && c.Prefix != "" {
			_, err := fmt.Fprintf(to, "no requests for %s in this time\n", stdio.Printable(boundTo(c.Prefix, c.Match)))
			return err
		}
		return writeUsage(to, all)
	})
}

func writeUsage(to *screen, all *usageRows) error {
	if len(all.Rows) == 0 {
		_, err := fmt.Fprintln(to, "no requests in this time")
		return err
	}
	layout := map[string]string{"hour": "2006-01-02 15h", "month": "2006-01"}[all.By]
	if layout == "" {
		layout = time.DateOnly
	}
	t := newTable(to)
	t.right, t.cut = []int{2, 3, 4, 5, 6, 7, 8, 9}, []int{1}
	t.row("TIME", "SERVICE", "VERSION", "REQUESTS", "FAILED", "CPU S", "WORK", "MIB S", "IN", "OUT")
	for _, r := range all.Rows {
		version := ""
		if r.Version != 0 {
			version = strconv.FormatUint(r.Version, 10)
		}
		t.row(r.Begin.UTC().Format(layout), r.Service, version, r.Requests, r.Failed, amount(r.GuestSeconds), r.Work, amount(r.MemorySeconds), r.BytesIn, r.BytesOut)
	}
	t.dropEmpty()
	return t.flush()
}

// amount formats a number with three decimals.
func amount(x float64) string { return strconv.FormatFloat(x, 'f', 3, 64) }
