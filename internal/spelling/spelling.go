// Package spelling finds the name that a user may have meant by one that is not known.
package spelling

import (
	"fmt"
	"strings"
)

// Near returns the name among names that is most like given, or "" if none is like it: one edit in a short name, or one in
// three letters of a longer one. An edit inserts, deletes or replaces a letter, or swaps two neighbours. The case of letters, and
// - for _, do not count.
func Near(given string, names []string) (best string) {
	folded := fold(given)
	limit := max(1, len(folded)/3)
	for _, name := range names {
		other := fold(name)
		if other == "" || len(other)-len(folded) > limit || len(folded)-len(other) > limit {
			continue
		}
		if d := distance(folded, other); d <= limit && d < max(len(folded), len(other)) {
			best, limit = name, d-1
		}
	}
	return best
}

// Hint ends a message about an unknown name: with the one that may be meant, or with all that are known.
func Hint(given string, names []string) string {
	if best := Near(given, names); best != "" {
		return fmt.Sprintf(", did you mean %q?", best)
	}
	return ": expected are " + strings.Join(names, ", ")
}

func fold(name string) string { return strings.ToLower(strings.ReplaceAll(name, "-", "_")) }

// distance returns the number of edits between two texts (optimal string alignment). It counts bytes: names are ASCII.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, before
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
