package docs

import (
	"regexp"
	"strings"
)

// variable are the parts of an output that differ between two runs. In the shown output and in the real one they
// are replaced by their names before both are compared. All else has to be equal, except where a page shows
// "...": that stands for any text within a line, and as a line of its own for any number of lines.
var variable = []struct {
	name    string
	pattern *regexp.Regexp
}{
	{"DIGEST", regexp.MustCompile(`sha256:([0-9a-f]{64}|[0-9a-f]{12})\b`)},
	{"TIME", regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)`)},
	{"DATE", regexp.MustCompile(`\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\b`)},
	{"ID", regexp.MustCompile(`\b([0-9a-f]{32}|[0-9a-f]{16})\b`)},
	{"DURATION", regexp.MustCompile(`\b\d+(\.\d+)? ?(µs|us|ms|s)\b`)},
}

// normal returns a text with its variable parts replaced.
func normal(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	for _, v := range variable {
		text = v.pattern.ReplaceAllLiteralString(text, v.name)
	}
	return strings.Trim(text, "\n")
}

// same reports whether an output is the one that a page shows.
func same(shown, got string) bool {
	var pattern strings.Builder
	for i, line := range strings.Split(normal(shown), "\n") {
		if line == "..." {
			pattern.WriteString(`(\n.*)*?`)
			continue
		}
		if i > 0 {
			pattern.WriteString(`\n`)
		}
		pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), `\.\.\.`, `.*`))
	}
	matches := regexp.MustCompile(`\A` + pattern.String() + `\z`)
	got = normal(got)
	return matches.MatchString(got) || matches.MatchString("\n"+got)
}
