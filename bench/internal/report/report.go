// Package report turns measurements into figures and tables.
package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Sample is one figure, measured several times. The zero Sample is empty.
type Sample []float64

// Median is the middle of the values; 0 if there are none.
func (s Sample) Median() float64 { return s.quantile(0.5) }

// quantile interpolates between the two values that are nearest.
func (s Sample) quantile(q float64) float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// Best is the smallest of the values; 0 if there are none. It is for short times in one process, which whatever else the machine
// does can only make longer.
func (s Sample) Best() float64 { return s.quantile(0) }

// Spread is half of what the middle half of the values spans, as a part of the median.
func (s Sample) Spread() float64 {
	if m := s.Median(); m != 0 {
		return (s.quantile(0.75) - s.quantile(0.25)) / 2 / m
	}
	return 0
}

// Over divides each value by its counterpart, which was measured next to it: what both have suffered alike cancels out.
func (s Sample) Over(other Sample) Sample {
	ratios := make(Sample, min(len(s), len(other)))
	for i := range ratios {
		ratios[i] = s[i] / other[i]
	}
	return ratios
}

// Table is one table of the report.
type Table struct {
	Title  string
	Notes  []string // below the table
	Header []string
	rows   [][]string
}

// Add adds a row.
func (t *Table) Add(cells ...string) { t.rows = append(t.rows, cells) }

// Write writes the table as Markdown that can be read as it is. All columns but the first are aligned to the right.
func (t *Table) Write(w io.Writer) error {
	widths := make([]int, len(t.Header))
	for _, row := range append([][]string{t.Header}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n", t.Title)
	line(&b, widths, t.Header)
	for i, width := range widths {
		if i == 0 {
			b.WriteString("|:" + strings.Repeat("-", width+1))
		} else {
			b.WriteString("|" + strings.Repeat("-", width+1) + ":")
		}
	}
	b.WriteString("|\n")
	for _, row := range t.rows {
		line(&b, widths, row)
	}
	for _, note := range t.Notes {
		b.WriteString("\n" + note + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func line(b *strings.Builder, widths []int, cells []string) {
	for i, width := range widths {
		cell := ""
		if i < len(cells) {
			cell = cells[i]
		}
		pad := strings.Repeat(" ", width-utf8.RuneCountInString(cell))
		if i == 0 {
			cell += pad
		} else {
			cell = pad + cell
		}
		b.WriteString("| " + cell + " ")
	}
	b.WriteString("|\n")
}

// Goal is a figure that is to be reached.
type Goal struct {
	Name string
	Want string
	Got  string
	Met  bool
}

// AtMost is a goal for what is to be small.
func AtMost(name string, limit, got float64, format string) Goal {
	return Goal{name, "<= " + fmt.Sprintf(format, limit), fmt.Sprintf(format, got), got <= limit}
}

// AtLeast is a goal for what is to be large.
func AtLeast(name string, limit, got float64, format string) Goal {
	return Goal{name, ">= " + fmt.Sprintf(format, limit), fmt.Sprintf(format, got), got >= limit}
}

// Goals makes a table of goals.
func Goals(goals []Goal) *Table {
	t := &Table{Title: "Goals", Header: []string{"goal", "to reach", "measured", ""}}
	for _, g := range goals {
		verdict := "missed"
		if g.Met {
			verdict = "met"
		}
		t.Add(g.Name, g.Want, g.Got, verdict)
	}
	return t
}

// Time writes a duration with three digits and the unit that suits it.
func Time(d time.Duration) string {
	switch {
	case d >= time.Second:
		return digits(d.Seconds()) + " s"
	case d >= time.Millisecond:
		return digits(float64(d)/1e6) + " ms"
	default:
		return digits(float64(d)/1e3) + " us"
	}
}

// Seconds is Time for a figure in seconds.
func Seconds(s float64) string { return Time(time.Duration(s * 1e9)) }

// Number writes a figure with three digits, or all that are before the point.
func Number(x float64) string { return digits(x) }

func digits(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	default:
		return fmt.Sprintf("%.2f", x)
	}
}

// Percent writes a part of one.
func Percent(x float64) string { return fmt.Sprintf("%.0f %%", 100*x) }

// Change writes a part of one as a change, with its sign.
func Change(x float64) string { return fmt.Sprintf("%+.1f %%", 100*x) }

// MiB writes a size.
func MiB(bytes float64) string { return fmt.Sprintf("%.1f MiB", bytes/(1<<20)) }
