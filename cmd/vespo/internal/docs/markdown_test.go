package docs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Marks are HTML comments, which readers of a page do not see. They apply to the block that follows, except markRun.
const (
	markNotRun = "not run" // why the block is not run
	markNeeds  = "needs"   // a command; the block is run only if it succeeds
	markFile   = "file"    // the name of the file that the block is written to
	markPartOf = "part of" // the file of the repository that contains the lines of the block
	markRun    = "run"     // commands that run here; no block follows
)

var marks = []string{markNotRun, markNeeds, markFile, markPartOf, markRun}

// block is a fenced block of a page. A markRun is a block in the language sh.
type block struct {
	line     int    // of the fence
	language string // such as sh
	text     string // ends with a line break
	marks    map[string]string
	hidden   bool
}

// fence matches the first line of a block. Blocks that are indented, or have longer fences, are not supported.
var fence = regexp.MustCompile("^```([a-z]*)$")

var comment = regexp.MustCompile(`(?s)^<!-- ([a-z ]+):\s(.*)-->$`)

// parse returns the blocks of a page. The errors name lines.
func parse(page string) (blocks []block, errs []error) {
	lines := strings.Split(strings.TrimSuffix(page, "\n"), "\n")
	pending := map[string]string{}
	fail := func(i int, format string, args ...any) {
		errs = append(errs, fmt.Errorf("line %d: %s", i+1, fmt.Sprintf(format, args...)))
	}
	for i := 0; i < len(lines); i++ {
		line, begin := lines[i], i
		switch {
		case strings.HasPrefix(line, "<!-- "):
			for ; !strings.HasSuffix(lines[i], "-->") && i+1 < len(lines); i++ {
			}
			name, value, ok := mark(strings.Join(lines[begin:i+1], "\n"))
			switch {
			case !ok:
			case value == "":
				fail(begin, "the mark %q is empty", name)
			case name == markRun:
				blocks = append(blocks, block{line: begin + 1, language: "sh", text: value + "\n", hidden: true})
			default:
				pending[name] = value
			}
		case strings.HasPrefix(line, "```"):
			found := fence.FindStringSubmatch(line)
			end := slices.Index(lines[i+1:], "```")
			if found == nil || found[1] == "" || end < 0 {
				fail(i, "a block begins with three backquotes and its language, and ends with three backquotes: %q", line)
				return blocks, errs
			}
			text := strings.Join(append(lines[i+1:i+1+end:i+1+end], ""), "\n")
			blocks = append(blocks, block{line: i + 1, language: found[1], text: text, marks: pending})
			pending = map[string]string{}
			i += end + 1
		case strings.TrimSpace(line) == "":
		case len(pending) > 0:
			fail(i, "a block has to follow the marks %v", pending)
			pending = map[string]string{}
		case indentedCode(lines, i):
			fail(i, "a block of code is fenced, not indented: %q", line)
		}
	}
	return blocks, errs
}

// mark returns the parts of a comment that is a mark.
func mark(text string) (name, value string, ok bool) {
	found := comment.FindStringSubmatch(text)
	if found == nil || !slices.Contains(marks, found[1]) {
		return "", "", false
	}
	return found[1], strings.TrimSpace(found[2]), true
}

// indentedCode reports whether line i begins a block of code that is indented: four spaces after an empty line,
// outside of a list.
func indentedCode(lines []string, i int) bool {
	if !strings.HasPrefix(lines[i], "    ") || i == 0 || lines[i-1] != "" {
		return false
	}
	for before := i - 1; before >= 0; before-- {
		if line := lines[before]; line != "" && !strings.HasPrefix(line, " ") {
			return !listItem.MatchString(line)
		}
	}
	return true
}

var listItem = regexp.MustCompile(`^([-*]|\d+\.) `)

// command is a command of a console, with the output that is shown.
type command struct {
	text  string // ends with a line break
	shown string
}

// console splits a block of the language console into its commands. The lines of a command begin
// with "$ ", and with "> " if it goes on.
func console(text string) (commands []command, err error) {
	for line := range strings.Lines(text) {
		first, isFirst := strings.CutPrefix(line, "$ ")
		if isFirst {
			commands = append(commands, command{text: first})
			continue
		}
		if len(commands) == 0 {
			return nil, fmt.Errorf("output without a command: %q", line)
		}
		last := &commands[len(commands)-1]
		if more, ok := strings.CutPrefix(line, "> "); ok && last.shown == "" {
			last.text += more
			continue
		}
		last.shown += line
	}
	return commands, nil
}
