package report

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSample(t *testing.T) {
	require.Zero(t, Sample(nil).Median())
	require.Zero(t, Sample(nil).Spread())
	require.Equal(t, 2.0, Sample{3, 1, 2}.Median())
	require.Equal(t, 1.0, Sample{3, 1, 2}.Best())
	require.Equal(t, 2.5, Sample{4, 1, 3, 2}.Median())
	require.InDelta(t, 0.25, Sample{1, 2, 3, 4, 5}.Spread()*3/4, 1e-9)
	require.Equal(t, Sample{0.5, 2}, Sample{1, 6}.Over(Sample{2, 3, 9}))
}

func TestTable(t *testing.T) {
	table := Table{Title: "Title", Header: []string{"a", "count"}, Notes: []string{"A note."}}
	table.Add("µ", "1")
	table.Add("long name")
	var b strings.Builder
	require.NoError(t, table.Write(&b))
	require.Equal(t, `
## Title

| a         | count |
|:----------|------:|
| µ         |     1 |
| long name |       |

A note.
`, b.String())
}

func TestGoals(t *testing.T) {
	var b strings.Builder
	require.NoError(t, Goals([]Goal{AtMost("small", 5, 5, "%.0f us"), AtLeast("large", 0.85, 0.8, "%.2f x")}).Write(&b))
	require.Contains(t, b.String(), "| small |   <= 5 us |     5 us |    met |\n")
	require.Contains(t, b.String(), "| large | >= 0.85 x |   0.80 x | missed |\n")
}

func TestUnits(t *testing.T) {
	require.Equal(t, "0.80 us", Time(800*time.Nanosecond))
	require.Equal(t, "12.3 ms", Time(12345*time.Microsecond))
	require.Equal(t, "150 s", Seconds(150))
	require.Equal(t, "54321", Number(54321))
	require.Equal(t, "+1.5 %", Change(0.015))
	require.Equal(t, "1.5 MiB", MiB(3<<19))
}

func TestReadGoBench(t *testing.T) {
	got, err := ReadGoBench(strings.NewReader(`goos: linux
BenchmarkRequest/tiny/reset-2         	  503995	      1189 ns/op	       821.0 reset-ns	       0 allocs/op
BenchmarkRequest/tiny/reset-2         	  503995	      1200 ns/op	       800.5 reset-ns	       0 allocs/op
BenchmarkOther	1	2 ns/op
PASS
`))
	require.NoError(t, err)
	require.Equal(t, map[string]Metrics{
		"Request/tiny/reset": {"ns/op": {1189, 1200}, "reset-ns": {821, 800.5}, "allocs/op": {0, 0}},
		"Other":              {"ns/op": {2}},
	}, got)
	_, err = ReadGoBench(strings.NewReader("BenchmarkX-2 1 two ns/op\n"))
	require.ErrorContains(t, err, "X")
}
