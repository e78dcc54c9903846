package report

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares text to a file.
func golden(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), text)
}

// madeUp is a comparison whose base is the second server, with one that is absent.
func madeUp() *Comparison {
	return &Comparison{
		Name:  "hello",
		Title: "Hello",
		Bases: []string{"not measured", "native"},
		Entries: []Entry{
			{Name: "Vespo", State: "fresh", PerSecond: Sample{300, 330}, P50: Sample{1e-3, 1e-3}, P99: Sample{4e-3, 5e-3}, CPU: Sample{2e-5, 2e-5}},
			{Name: "native", State: "shared", PerSecond: Sample{200, 220}, P50: Sample{2e-3, 2e-3}, P99: Sample{4e-3, 5e-3}, CPU: Sample{4e-5, 4e-5}},
		},
		Absent: []Absence{{"nginx", "it is not installed"}},
		Notes:  []string{"2 rounds."},
	}
}

func TestComparison(t *testing.T) {
	var b strings.Builder
	require.NoError(t, madeUp().Table().Write(&b))
	golden(t, "comparison.md", b.String())
	c := &Comparison{Title: "None", Absent: []Absence{{"Vespo", "it failed"}}}
	require.Nil(t, c.Base())
	b.Reset()
	require.NoError(t, c.Table().Write(&b))
	require.Contains(t, b.String(), "Absent: Vespo: it failed.")
	c.Entries = madeUp().Entries
	require.Equal(t, "Vespo", c.Base().Name) // none of the bases was measured
}

func TestTimes(t *testing.T) {
	for want, ratio := range map[string]float64{"0.00": 0, "0.0021": 0.0021, "0.034": 0.0341, "0.25": 0.251, "1.00": 1, "120": 120.4} {
		require.Equal(t, want, Times(Sample{ratio}))
	}
}

func TestPage(t *testing.T) {
	c := &Chart{Title: "Requests", Axis: "more is better"}
	c.Add("hello", "Vespo", 1.5)
	p := &Page{
		Facts:    []Fact{{"processors", "2, made up"}},
		Versions: []Fact{{"Vespo", "commit 0"}, {"nginx", "absent: it is not installed"}},
		Commands: []string{"go run ./bench -report docs/benchmarks.md"},
		Sections: map[string]*Section{
			"hello": {Tables: []*Table{madeUp().Table()}},
			"echo":  {Failed: "context deadline exceeded"},
			"json":  {Tables: []*Table{madeUp().Table()}, Failed: "a later table failed"},
		},
		Charts: map[string]*Chart{"throughput": c, "cpu": {}},
	}
	file := filepath.Join(t.TempDir(), "page.md")
	for range 2 { // the second time replaces files
		require.NoError(t, p.WriteFile(file))
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	page := string(text)
	for _, part := range []string{
		"go run ./bench -report docs/benchmarks.md\n```", "| processors | 2, made up |", "| nginx   | absent: it is not installed |", "### Hello\n\n| server",
		"## Echo\n\nNot measured, or not all: context deadline exceeded.\n", "a later table failed", "Not measured in this run.", "(page/throughput.svg)",
	} {
		require.Contains(t, page, part)
	}
	require.NotContains(t, page, "cpu.svg") // it has no marks
	require.NotContains(t, page, "<no value>")
	files, err := os.ReadDir(strings.TrimSuffix(file, ".md"))
	require.NoError(t, err)
	require.Len(t, files, 1)
}

func TestChart(t *testing.T) {
	c := &Chart{Title: "Requests <per> second & more", Axis: "more is better"}
	for i, server := range []string{"Vespo", "net/http", "a \"third\"", "fourth", "fifth"} {
		c.Add("hello", server, 1.5/float64(i+1))
		c.Add("echo", server, float64(i+1)*3)
	}
	for _, none := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		c.Add("never", "Vespo", none)
	}
	text := drawn(t, c)
	golden(t, "chart.svg", text)
	require.NotContains(t, text, "never")
}

// drawn returns a chart, which is XML whose marks are on the paper.
func drawn(t *testing.T, c *Chart) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, c.Write(&b))
	d := xml.NewDecoder(strings.NewReader(b.String()))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		require.NoError(t, err)
	}
}

func FuzzChart(f *testing.F) {
	f.Add("a row", "a series", 1.0, 2.0)
	f.Add("<&>\"'\x00", "\xff", 1e-6, 1e6)
	f.Add("", "", 1.0, 1.0)
	f.Fuzz(func(t *testing.T, row, series string, first, second float64) {
		c := &Chart{Title: row, Axis: series}
		c.Add(row, series, first)
		c.Add(row, row, second)
		if !c.Empty() {
			drawn(t, c)
		}
	})
}

func TestTicks(t *testing.T) {
	require.InDeltaSlice(t, []float64{0.1, 0.2, 0.5, 1, 2, 5, 10}, ticks(0.1, 10), 1e-9)
	for _, x := range []struct{ value, low, high float64 }{{1, 1, 1}, {3, 1, 5}, {0.04, 0.02, 1}, {5, 1, 5}, {0.1, 0.1, 1}, {120, 1, 200}} {
		c := &Chart{}
		c.Add("row", "series", x.value)
		low, high := c.axis()
		require.InDelta(t, x.low, low, 1e-9, x)
		require.InDelta(t, x.high, high, 1e-9, x)
	}
}
