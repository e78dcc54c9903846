package report

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Metrics are the figures of one benchmark by unit, such as "ns/op", with one value for each run.
type Metrics map[string]Sample

// ReadGoBench parses the output of "go test -bench". Keys are the benchmarks' names without
// "Benchmark" and without the number of processors.
func ReadGoBench(r io.Reader) (map[string]Metrics, error) {
	all := make(map[string]Metrics)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(fields[0], "Benchmark")
		if at := strings.LastIndexByte(name, '-'); at > 0 {
			name = name[:at]
		}
		if all[name] == nil {
			all[name] = make(Metrics)
		}
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("benchmark %s: %w", name, err)
			}
			all[name][fields[i+1]] = append(all[name][fields[i+1]], value)
		}
	}
	return all, lines.Err()
}
