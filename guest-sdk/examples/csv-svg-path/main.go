// Command csv-svg-path draws a line through points: POST a CSV file with two columns, x and y, and the answer is an SVG picture.
//
// A first line that holds no numbers is taken for the columns' names. As usual in SVG, y grows downwards.
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

// maxPoints bounds the memory of a request: 16 bytes a point, and as much again while the list grows.
const maxPoints = 100_000

// maxCoordinate keeps sums and differences far from the ends of what numbers can be.
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

// read reads points. Errors are for the client, and name the line.
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
			continue // names
		case err != nil:
			line, _ := lines.FieldPos(column)
			return nil, fmt.Errorf("line %d: %w", line, err)
		case len(points) == maxPoints:
			return nil, errTooMany
		}
		points = append(points, p)
	}
}

// parse reads one line; column tells where an error is.
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

// write draws the path into a picture that is as large as it needs to be, with a margin for the stroke.
func write(w io.Writer, points []point) {
	low, high := points[0], points[0]
	for _, p := range points {
		low = point{min(low.x, p.x), min(low.y, p.y)}
		high = point{max(high.x, p.x), max(high.y, p.y)}
	}
	width, height := high.x-low.x, high.y-low.y
	stroke := max(width, height) / 200
	if stroke == 0 {
		stroke = 1 // all points are one
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
