package remote

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dustin/go-humanize"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// gap separates two columns.
const gap = "  "

// minCutColumns is what is left at least of a column that is cut.
const minCutColumns = 12

// table writes aligned columns.
type table struct {
	to    *screen
	rows  [][]string
	right []int                              // columns of numbers
	cut   []int                              // columns to shorten if the terminal is too narrow, the first one first
	paint func(row int, column string) paint // of a cell, by the title of its column; nil: plain
}

// paint colours one cell.
type paint func(string) string

func newTable(to *screen) *table { return &table{to: to} }

// row adds a row.
func (t *table) row(values ...any) {
	cells := make([]string, 0, len(values))
	for _, v := range values {
		cells = append(cells, shown(v))
	}
	t.rows = append(t.rows, cells)
}

// list adds a row for each value, of which the first one has the title.
func (t *table) list(title string, values []string) {
	for _, v := range values {
		t.rows = append(t.rows, []string{title, shown(v)})
		title = ""
	}
}

// dropEmpty removes the columns that have a title alone.
func (t *table) dropEmpty() {
	for column := len(t.rows[0]) - 1; column >= 0; column-- {
		if slices.ContainsFunc(t.rows[1:], func(row []string) bool { return row[column] != "-" }) {
			continue
		}
		for i, row := range t.rows {
			t.rows[i] = slices.Delete(row, column, column+1)
		}
	}
}

// flush writes the table.
func (t *table) flush() error {
	widths := t.fit()
	var b strings.Builder
	for i, row := range t.rows {
		for column, cell := range row {
			text := cutTo(cell, widths[column])
			padding := strings.Repeat(" ", widths[column]-utf8.RuneCountInString(text))
			text = t.painted(i, column, text)
			switch last := column == len(row)-1; {
			case slices.Contains(t.right, column):
				text = padding + text
			case !last:
				text += padding
			}
			if column > 0 {
				text = gap + text
			}
			b.WriteString(text)
		}
		b.WriteByte('\n')
	}
	_, err := fmt.Fprint(t.to, b.String())
	return err
}

func (t *table) painted(row, column int, text string) string {
	if t.paint == nil {
		return text
	}
	if paint := t.paint(row, t.rows[0][column]); paint != nil {
		return paint(text)
	}
	return text
}

// fit returns the widths of the columns. They fit the terminal if cutting suffices.
func (t *table) fit() []int {
	var widths []int
	for _, row := range t.rows {
		for column, cell := range row {
			if column == len(widths) {
				widths = append(widths, 0)
			}
			widths[column] = max(widths[column], utf8.RuneCountInString(cell))
		}
	}
	if t.to.columns == 0 {
		return widths
	}
	excess := len(gap)*(len(widths)-1) - t.to.columns
	for _, width := range widths {
		excess += width
	}
	for _, column := range t.cut {
		less := min(max(excess, 0), max(widths[column]-minCutColumns, 0))
		widths[column] -= less
		excess -= less
	}
	return widths
}

// cutTo cuts a text that is wider.
func cutTo(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}

// shown formats a value for a table; "-" stands for an empty one.
func shown(value any) string {
	switch v := value.(type) {
	case string:
		if v != "" {
			return stdio.Printable(v)
		}
	case int64: // only sizes are int64
		if v > 0 {
			return humanize.IBytes(uint64(v))
		}
	default:
		return fmt.Sprint(v)
	}
	return "-"
}

// ageText formats a duration in its largest unit. A negative one, of clocks that differ, is 0s.
func ageText(d time.Duration) string { return durationText(d, false) }

// leftText formats the time until something like ageText, but rounded to the nearest unit: 9m59s is 10m.
func leftText(d time.Duration) string { return durationText(d, true) }

func durationText(d time.Duration, nearest bool) string {
	const day = 24 * time.Hour
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{365 * day, "y"}, {day, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d >= unit.size {
			if nearest {
				return durationText(d.Round(unit.size), false)
			}
			return strconv.FormatInt(int64(d/unit.size), 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(max(d, 0)/time.Second), 10) + "s"
}
