package remote

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// spans are the names of windows, as in answers.
var spans = [...]string{"10s", "1m", "10m", "1h"}

// StatsCmd shows the statistics of services.
type StatsCmd struct {
	Prefix string `arg:"" optional:"" help:"Path prefix of one service, whose windows and versions are shown; default: all services."`
	Window string `enum:"10s,1m,10m,1h" placeholder:"10s|1m|10m|1h" default:"1m" help:"Time that the table of all services is about (${default})."`

	matchFlag
	clientFlags
}

// Run is called by kong.
func (c *StatsCmd) Run(ctx context.Context, s stdio.Streams) error {
	about, query := "", url.Values{}
	if c.Prefix != "" || c.Match != "" {
		about, query = boundTo(c.Prefix, c.Match), c.query(c.Prefix)
	}
	client, err := c.client(about)
	if err != nil {
		return err
	}
	a, err := client.Get(ctx, "/services/stats", query)
	if err != nil {
		return err
	}
	return show(&c.clientFlags, s, a, func(to *screen, all *statistics) error {
		if about != "" && len(all.Services) == 1 {
			return writeServiceStats(to, &all.Services[0])
		}
		return writeStats(to, all.Services, c.Window)
	})
}

// statistics is the answer to a request for statistics. The documentation of the management API has the fields.
type statistics struct {
	Time  time.Time `json:"time"`
	Slots struct {
		Total    int `json:"total"`
		Used     int `json:"used"`
		InFlight int `json:"in_flight"`
		Waiting  int `json:"waiting"`
	} `json:"slots"`
	Services []serviceStats `json:"services"`
}

// serviceStats are the statistics of a service.
type serviceStats struct {
	Prefix   string            `json:"prefix"`
	Match    string            `json:"match"`
	State    string            `json:"state"`
	Problem  string            `json:"problem"`
	Number   uint64            `json:"number"`
	Warm     int               `json:"warm"`
	InFlight int               `json:"in_flight"`
	Windows  map[string]window `json:"windows"`
	Versions []struct {
		Number     uint64            `json:"number"`
		Generation uint64            `json:"generation"`
		Windows    map[string]window `json:"windows"`
	} `json:"versions"`
}

// bound returns the prefix and match of the service.
func (s *serviceStats) bound() string {
	if s.Match == "" {
		return s.Prefix
	}
	return s.Prefix + " " + s.Match
}

// window are the statistics of a window.
type window struct {
	Seconds       float64 `json:"seconds"`
	Requests      uint64  `json:"requests"`
	Errors        uint64  `json:"errors"`
	Rate          float64 `json:"rate"`
	P50           int64   `json:"p50_us"`
	P95           int64   `json:"p95_us"`
	P99           int64   `json:"p99_us"`
	Guest         int64   `json:"guest_us"`
	PeakBytes     int64   `json:"peak_bytes"`
	ResidentBytes int64   `json:"resident_bytes"`
}

// cpu returns the share of a processor that the guests took.
func (w *window) cpu() float64 {
	if w.Seconds <= 0 {
		return 0
	}
	return float64(w.Guest) / 1e6 / w.Seconds
}

// windowTitles are the columns of windowCells.
var windowTitles = []any{"REQ/S", "REQUESTS", "ERRORS", "P50", "P95", "P99", "CPU", "PEAK", "RESIDENT"}

// windowCells returns the cells of a window.
func windowCells(w window) []any {
	latency := func(us int64) string {
		if w.Requests == 0 {
			return ""
		}
		return accesslog.Time(time.Duration(us) * time.Microsecond)
	}
	return []any{rateText(w.Rate), w.Requests, w.Errors, latency(w.P50), latency(w.P95), latency(w.P99),
		fmt.Sprintf("%.0f%%", 100*w.cpu()), w.PeakBytes, w.ResidentBytes}
}

// rateText returns a rate with the digits that matter.
func rateText(rate float64) string {
	if rate > 0 && rate < 9.95 {
		return strconv.FormatFloat(rate, 'f', 1, 64)
	}
	return strconv.FormatFloat(rate, 'f', 0, 64)
}

// writeStats writes a table with one row per service.
func writeStats(to *screen, all []serviceStats, span string) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(to, "no services; add one with \"vespo add PREFIX FILE\"")
		return err
	}
	t := newTable(to)
	t.row(append([]any{"PREFIX", "STATE", "IN FLIGHT"}, windowTitles...)...)
	t.cut, t.right = []int{0}, append(numbersFrom(3), 2)
	for _, s := range all {
		t.row(append([]any{s.bound(), s.State, s.InFlight}, windowCells(s.Windows[span])...)...)
	}
	t.paint = statsPaint(to, t)
	return t.flush()
}

// numbersFrom returns the columns from the first one with numbers.
func numbersFrom(first int) (columns []int) {
	for i := range first + len(windowTitles) {
		if i >= first {
			columns = append(columns, i)
		}
	}
	return columns
}

// statsPaint paints titles, states that need attention, and errors.
func statsPaint(to *screen, t *table) func(row int, column string) paint {
	errors := 0
	for i, title := range t.rows[0] {
		if title == "ERRORS" {
			errors = i
		}
	}
	return func(row int, column string) paint {
		switch {
		case row == 0:
			return to.paint.Bold
		case column == "STATE":
			return statePaint(to, t.rows[row][1])
		case column == "ERRORS" && t.rows[row][errors] != "0":
			return to.paint.Red
		}
		return nil
	}
}

// writeServiceStats writes the windows of a service, and those of its versions if there are several.
func writeServiceStats(to *screen, s *serviceStats) error {
	head := fmt.Sprintf("%s  %s, version %d, %d in flight", s.bound(), s.State, s.Number, s.InFlight)
	if s.Problem != "" {
		head += ": " + s.Problem
	}
	fmt.Fprintln(to, stdio.Printable(head))
	t := newTable(to)
	t.row(append([]any{"LAST"}, windowTitles...)...)
	t.right = numbersFrom(1)
	for _, span := range spans {
		t.row(append([]any{span}, windowCells(s.Windows[span])...)...)
	}
	t.paint = statsPaint(to, t)
	if err := t.flush(); err != nil || len(s.Versions) < 2 {
		return err
	}
	fmt.Fprintln(to, "\nversions, the last hour:")
	t = newTable(to)
	t.row(append([]any{"VERSION", "GENERATION"}, windowTitles...)...)
	t.right = append(numbersFrom(2), 0, 1)
	for _, v := range s.Versions {
		t.row(append([]any{v.Number, v.Generation}, windowCells(v.Windows["1h"])...)...)
	}
	t.paint = statsPaint(to, t)
	return t.flush()
}
