package flexilib

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/vespo-dev/vespo/internal/routekey"
)

// Rule is a line that binds requests to a library.
type Rule struct {
	Line    int
	Text    string // as written, without comments
	Key     routekey.Key
	Library string
}

// Problem is a line that cannot be converted, or not with the same meaning.
type Problem struct {
	Line int
	Text string
	// Harmless reports that nothing is lost, because the line has no effect in FlexiLib either.
	Harmless bool
}

func (p Problem) String() string { return fmt.Sprintf("%d: %s", p.Line, p.Text) }

// maxLineBytes is the length limit of a line, more than any line needs.
const maxLineBytes = 64 << 10

// Read returns the rules in order, and a problem for each line that is not a rule.
func Read(r io.Reader) (rules []Rule, problems []Problem, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLineBytes)
	for number := 1; lines.Scan(); number++ {
		text := lines.Text()
		if number == 1 {
			text = strings.TrimPrefix(text, "\ufeff") // some editors write a byte order mark
		}
		text = withoutComment(text)
		if text == "" {
			continue
		}
		rule, err := parse(text)
		if err != nil {
			problems = append(problems, Problem{Line: number, Text: err.Error()})
			continue
		}
		rule.Line, rule.Text = number, text
		rules = append(rules, rule)
	}
	return rules, problems, lines.Err()
}

// withoutComment removes a comment: "#" at the beginning of the line or after a space or tab, and the rest.
func withoutComment(line string) string {
	line = strings.TrimSpace(strings.ToValidUTF8(line, "\uFFFD"))
	for i := range line {
		if line[i] == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			return strings.TrimSpace(line[:i])
		}
	}
	return line
}

// parse parses "PATH = LIBRARY" or "HEADER: VALUE PATH = LIBRARY".
// A value may contain an equals sign, a library may not.
func parse(text string) (Rule, error) {
	equals := strings.LastIndexByte(text, '=')
	if equals < 0 {
		return Rule{}, errors.New(`unknown line: it is not "PATH = LIBRARY" or "HEADER: VALUE PATH = LIBRARY"`)
	}
	condition, library := strings.TrimSpace(text[:equals]), strings.TrimSpace(text[equals+1:])
	match, path := "", condition
	if space := strings.LastIndexAny(condition, " \t"); space >= 0 {
		match, path = strings.TrimSpace(condition[:space]), condition[space+1:]
	}
	if library == "" || !strings.HasPrefix(path, "/") {
		return Rule{}, errors.New(`unknown line: it is not "PATH = LIBRARY" or "HEADER: VALUE PATH = LIBRARY", with a PATH that begins with "/"`)
	}
	prefix, err := routekey.ParsePrefix(path)
	if err != nil {
		return Rule{}, err
	}
	m, err := routekey.ParseMatch(match)
	return Rule{Key: routekey.Key{Prefix: prefix, Match: m}, Library: library}, err
}
