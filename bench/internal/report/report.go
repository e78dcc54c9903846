// Package report formats measurements as figures and tables.
package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Sample holds repeated measurements of one figure. The zero Sample is empty.
type Sample []float64

// Median returns the median; 0 if there are no values.
func (s Sample) Median() float64 { return s.quantile(0.5) }

// quantile interpolates between the two nearest values.
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

// Best returns the smallest value; 0 if there are none. It is for short times in one
// process, which other load of the machine can only increase.
func (s Sample) Best() float64 { return s.quantile(0) }

// Worst returns the largest value; 0 if there are none.
func (s Sample) Worst() float64 { return s.quantile(1) }

// Spread returns half of the interquartile range, relative to the median.
func (s Sample) Spread() float64 {
	if m := s.Median(); m != 0 {
		return (s.quantile(0.75) - s.quantile(0.25)) / 2 / m
	}
	return 0
}

// Over divides each value by the one in other that was measured next to it, which cancels
// common disturbances.
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
	left   bool // all columns are left-aligned
}

// Add adds a row.
func (t *Table) Add(cells ...string) { t.rows = append(t.rows, cells) }

// Write writes the table as Markdown with padded columns. All columns but the first are right-aligned.
func (t *Table) Write(w io.Writer) error { return t.write(w, "##") }

// write writes the table below a heading of a level; none if that is empty.
func (t *Table) write(w io.Writer, level string) error {
	widths := make([]int, len(t.Header))
	for _, row := range append([][]string{t.Header}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
		}
	}
	var b strings.Builder
	if level != "" {
		fmt.Fprintf(&b, "\n%s %s\n\n", level, t.Title)
	}
	t.line(&b, widths, t.Header)
	for i, width := range widths {
		if i == 0 || t.left {
			b.WriteString("|:" + strings.Repeat("-", width+1))
		} else {
			b.WriteString("|" + strings.Repeat("-", width+1) + ":")
		}
	}
	b.WriteString("|\n")
	for _, row := range t.rows {
		t.line(&b, widths, row)
	}
	for _, note := range t.Notes {
		b.WriteString("\n" + note + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Table) line(b *strings.Builder, widths []int, cells []string) {
	for i, width := range widths {
		cell := ""
		if i < len(cells) {
			cell = cells[i]
		}
		pad := strings.Repeat(" ", width-utf8.RuneCountInString(cell))
		if i == 0 || t.left {
			cell += pad
		} else {
			cell = pad + cell
		}
		b.WriteString("| " + cell + " ")
	}
	b.WriteString("|\n")
}

// Goal is a target for a figure.
type Goal struct {
	Name string
	Want string
	Got  string
	Met  bool
}

// AtMost returns a goal with an upper limit.
func AtMost(name string, limit, got float64, format string) Goal {
	return Goal{name, "<= " + fmt.Sprintf(format, limit), fmt.Sprintf(format, got), got <= limit}
}

// AtLeast returns a goal with a lower limit.
func AtLeast(name string, limit, got float64, format string) Goal {
	return Goal{name, ">= " + fmt.Sprintf(format, limit), fmt.Sprintf(format, got), got >= limit}
}

// Goals returns a table of goals.
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

// Time formats a duration with three digits and a suitable unit.
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

// Number formats a figure with three digits, or all digits before the decimal point if there are more.
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

// Percent formats a fraction.
func Percent(x float64) string { return fmt.Sprintf("%.0f %%", 100*x) }

// Change formats a fraction as a change, with its sign.
func Change(x float64) string { return fmt.Sprintf("%+.1f %%", 100*x) }

// MiB formats a size.
func MiB(bytes float64) string { return fmt.Sprintf("%.1f MiB", bytes/(1<<20)) }
