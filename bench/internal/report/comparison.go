package report

import "fmt"

// Entry is a server of a Comparison with its measurements, one value of each for a round.
type Entry struct {
	Name      string
	State     string // of the handler, between requests: fresh or shared
	PerSecond Sample
	P50, P99  Sample // seconds
	CPU       Sample // seconds of processor time for one request
}

// Absence is a server that was not measured.
type Absence struct {
	Name   string
	Reason string
}

// Comparison is one workload on several servers, which took turns.
type Comparison struct {
	Name    string // short, for charts
	Title   string
	Bases   []string // the first one that was measured is the base of the ratios
	Entries []Entry
	Absent  []Absence
	Notes   []string
}

// Base returns the entry that ratios refer to; nil if no server was measured.
func (c *Comparison) Base() *Entry {
	for _, name := range c.Bases {
		for i := range c.Entries {
			if c.Entries[i].Name == name {
				return &c.Entries[i]
			}
		}
	}
	if len(c.Entries) > 0 {
		return &c.Entries[0]
	}
	return nil
}

// Table returns the ratios to the base.
func (c *Comparison) Table() *Table {
	t := &Table{Title: c.Title, Header: []string{"server", "state", "requests/s", "+-", "p50", "p99", "cpu/request"}}
	base := c.Base()
	for _, e := range c.Entries {
		t.Add(e.Name, e.State, Times(e.PerSecond.Over(base.PerSecond)), Percent(e.PerSecond.Spread()), Times(e.P50.Over(base.P50)),
			Times(e.P99.Over(base.P99)), Times(e.CPU.Over(base.CPU)))
	}
	if base != nil {
		t.Notes = append(t.Notes, fmt.Sprintf("1 is %s: %s requests/s, p50 %s, p99 %s, %s of processor time for a request.", base.Name,
			Number(base.PerSecond.Median()), Seconds(base.P50.Median()), Seconds(base.P99.Median()), Seconds(base.CPU.Median())))
	}
	t.Notes = append(t.Notes, c.Notes...)
	for _, a := range c.Absent {
		t.Notes = append(t.Notes, fmt.Sprintf("Absent: %s: %s.", a.Name, a.Reason))
	}
	return t
}

// Times formats the median of ratios. Small ones have two digits.
func Times(ratios Sample) string {
	switch x := ratios.Median(); {
	case x == 0 || x >= 0.1:
		return Number(x)
	case x >= 0.01:
		return fmt.Sprintf("%.3f", x)
	default:
		return fmt.Sprintf("%.4f", x)
	}
}
