package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Chart is a dot plot of ratios on a logarithmic axis: a row for each name, a mark for each series. Libraries for plots bring fonts,
// other formats and axes of all kinds; this takes a page.
type Chart struct {
	Title string
	Axis  string // title of the axis, with the direction that is better
	rows  []string
	marks []mark
}

type mark struct {
	row, series string
	value       float64
}

// The range of ratios in a chart. Others are mistakes.
const (
	minRatio = 1e-6
	maxRatio = 1e6
)

// Add adds a mark, unless the value is out of range.
func (c *Chart) Add(row, series string, value float64) {
	if !(value >= minRatio && value <= maxRatio) { // NaN is out of range, too
		return
	}
	if !slices.Contains(c.rows, row) {
		c.rows = append(c.rows, row)
	}
	c.marks = append(c.marks, mark{row, series, value})
}

// Empty reports whether the chart has no marks.
func (c *Chart) Empty() bool { return len(c.marks) == 0 }

// Measures of the picture, in pixels.
const (
	chartWidth   = 760
	chartLeft    = 190 // of the axis
	chartRight   = 740
	rowHeight    = 24
	legendHeight = 20
	legendWidth  = 185
	titleHeight  = 30
	axisHeight   = 44
	markSize     = 5
)

// colours are those of Okabe and Ito, which people with defects of colour vision can tell apart.
func colours() []string {
	return []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9"}
}

// shape returns the outline of the i-th series around a point.
func shape(i int, x, y float64) string {
	const s = markSize
	fill := colours()[i%len(colours())]
	switch i % 4 {
	case 0:
		return fmt.Sprintf(`<circle cx="%.1f" cy="%.1f" r="%d" fill="%s">`, x, y, s, fill)
	case 1:
		return fmt.Sprintf(`<path d="M%.1f %.1fh%dv%dh-%dz" fill="%s">`, x-s, y-s, 2*s, 2*s, 2*s, fill)
	case 2:
		return fmt.Sprintf(`<path d="M%.1f %.1fl%d %dl-%d %dl-%d -%dz" fill="%s">`, x, y-s-1, s+1, s+1, s+1, s+1, s+1, s+1, fill)
	}
	return fmt.Sprintf(`<path d="M%.1f %.1fl%d %dh-%dz" fill="%s">`, x, y-s, s, 2*s, 2*s, fill)
}

// closing returns the end tag of a shape.
func closing(i int) string {
	if i%4 == 0 {
		return "</circle>"
	}
	return "</path>"
}

// series returns the names of all series in the order of their first marks.
func (c *Chart) series() (names []string) {
	for _, m := range c.marks {
		if !slices.Contains(names, m.series) {
			names = append(names, m.series)
		}
	}
	return names
}

// axis returns the ends of the axis: 1, 2 or 5 times a power of ten, around all values and 1.
func (c *Chart) axis() (low, high float64) {
	low, high = 1, 1
	for _, m := range c.marks {
		low, high = min(low, m.value), max(high, m.value)
	}
	around := ticks(low/10, high*10)
	return around[lastAtMost(around, low)], around[firstAtLeast(around, high)]
}

// lastAtMost returns the index of the last tick that is not above x.
func lastAtMost(ticks []float64, x float64) int {
	at := slices.IndexFunc(ticks, func(t float64) bool { return t > x*1.001 })
	return max(at-1, 0)
}

// firstAtLeast returns the index of the first tick that is not below x.
func firstAtLeast(ticks []float64, x float64) int {
	return slices.IndexFunc(ticks, func(t float64) bool { return t >= x*0.999 })
}

// ticks returns 1, 2 and 5 times the powers of ten between two values.
func ticks(low, high float64) (all []float64) {
	for power := int(math.Floor(math.Log10(low))); power <= int(math.Ceil(math.Log10(high))); power++ {
		for _, m := range []float64{1, 2, 5} {
			if t := m * math.Pow10(power); t >= low*0.999 && t <= high*1.001 {
				all = append(all, t)
			}
		}
	}
	return all
}

// Write writes the chart as SVG.
func (c *Chart) Write(w io.Writer) error {
	series := c.series()
	low, high := c.axis()
	span := math.Log(high / low)
	if span == 0 {
		span = 1
	}
	x := func(v float64) float64 { return chartLeft + (chartRight-chartLeft)*math.Log(v/low)/span }
	perLine := (chartWidth - 10) / legendWidth
	top := titleHeight + legendHeight*((len(series)+perLine-1)/perLine) + 8
	bottom := top + rowHeight*len(c.rows)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n",
		chartWidth, bottom+axisHeight)
	fmt.Fprintf(&b, "<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n", escaped(c.Title))
	label(&b, 10, 20, "start", ` font-size="15" font-weight="bold"`, c.Title)
	for i, name := range series {
		lx, ly := 16+legendWidth*(i%perLine), titleHeight+legendHeight*(i/perLine)+10
		b.WriteString(shape(i, float64(lx), float64(ly)) + closing(i) + "\n")
		label(&b, lx+12, ly+4, "start", "", name)
	}
	for _, t := range ticks(low, high) {
		stroke := "#ddd"
		if math.Abs(t-1) < 1e-9 {
			stroke = "#555"
		}
		fmt.Fprintf(&b, `<path d="M%.1f %dV%d" stroke="%s"/>`+"\n", x(t), top, bottom, stroke)
		label(&b, int(x(t)), bottom+16, "middle", "", fmt.Sprintf("%.4g", t))
	}
	label(&b, (chartLeft+chartRight)/2, bottom+36, "middle", "", c.Axis)
	for i, row := range c.rows {
		y := top + rowHeight*i + rowHeight/2
		label(&b, chartLeft-12, y+4, "end", "", row)
		for _, m := range slices.Backward(c.marks) { // the first series is on top
			if m.row == row {
				at := slices.Index(series, m.series)
				fmt.Fprintf(&b, "%s<title>%s, %s: %s</title>%s\n", shape(at, x(m.value), float64(y)), escaped(row), escaped(m.series), Number(m.value), closing(at))
			}
		}
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func label(b *strings.Builder, x, y int, anchor, style, text string) {
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="%s"%s>%s</text>`+"\n", x, y, anchor, style, escaped(text))
}

// escaped returns text for XML.
func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder does not fail
	return b.String()
}
