// Command csv-svg-path draws a line through points. POST a CSV file with the columns x and y to get an SVG picture.
//
// If the first line does not begin with a number, it is skipped as the names of the columns. The y axis points down, as
// is usual in SVG.
package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	guest "github.com/vespo-dev/vespo/guest-sdk"
)

// maxPoints bounds the memory of a request. A point takes 16 bytes, and up to twice that while the slice grows.
const maxPoints = 100_000

// maxCoordinate keeps sums and differences of coordinates far from the limits of float64.
const maxCoordinate = 1e9

func init() { guest.Handle(draw) }

type point struct{ x, y float64 }

var errTooMany = fmt.Errorf("more than %d points", maxPoints)

func draw(w *guest.Response, r *guest.Request) {
	if r.Method() != "POST" {
		w.Header.Set("allow", "POST")
		w.Text(405, "POST a CSV file with the columns x and y\n")
		return
	}
	points, err := read(r)
	switch {
	case errors.Is(err, errTooMany):
		w.Text(413, err.Error()+"\n")
	case err != nil:
		w.Text(400, err.Error()+"\n")
	case len(points) < 2:
		w.Text(400, "a line needs two points at least\n")
	default:
		w.Header.Set("content-type", "image/svg+xml")
		write(w, points)
	}
}

// read parses the points. Its errors are for the client and contain the line number.
func read(from io.Reader) (points []point, err error) {
	lines := csv.NewReader(from)
	lines.FieldsPerRecord = 2
	lines.ReuseRecord = true
	lines.TrimLeadingSpace = true
	for first := true; ; first = false {
		record, err := lines.Read()
		if err == io.EOF {
			return points, nil
		}
		if err != nil {
			return nil, err
		}
		p, column, err := parse(record)
		switch {
		case err != nil && first && column == 0:
			continue // names of the columns
		case err != nil:
			line, _ := lines.FieldPos(column)
			return nil, fmt.Errorf("line %d: %w", line, err)
		case len(points) == maxPoints:
			return nil, errTooMany
		}
		points = append(points, p)
	}
}

// parse parses one line. If it returns an error, column is the index of the invalid field.
func parse(record []string) (p point, column int, err error) {
	for column, to := range []*float64{&p.x, &p.y} {
		field := strings.TrimSpace(record[column])
		*to, err = strconv.ParseFloat(field, 64)
		if err != nil || !(math.Abs(*to) <= maxCoordinate) { // also false for NaN
			return p, column, fmt.Errorf("%.40q is not a number from -1e9 to 1e9", field)
		}
	}
	return p, 0, nil
}

// write writes an SVG picture of the path. The picture is as large as the path and has a margin for the stroke.
func write(w io.Writer, points []point) {
	low, high := points[0], points[0]
	for _, p := range points {
		low = point{min(low.x, p.x), min(low.y, p.y)}
		high = point{max(high.x, p.x), max(high.y, p.y)}
	}
	width, height := high.x-low.x, high.y-low.y
	stroke := max(width, height) / 200
	if stroke == 0 {
		stroke = 1 // all points are equal
	}
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="%s %s %s %s"><path fill="none" stroke="black" stroke-width="%s" d="`,
		number(low.x-stroke), number(low.y-stroke), number(width+2*stroke), number(height+2*stroke), number(stroke))
	command := "M"
	for _, p := range points {
		io.WriteString(w, command+number(p.x)+" "+number(p.y))
		command = "L"
	}
	io.WriteString(w, "\"/></svg>\n")
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func main() {}
