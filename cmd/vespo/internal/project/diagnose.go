package project

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/live"
	"github.com/vespo-dev/vespo/internal/regular"
)

// Limits of what is shown of a failed build.
const (
	maxDiagnostics  = 20
	maxSourceBytes  = 4 << 20 // of a file that an excerpt is taken from
	excerptLines    = 2       // before and after the line
	maxExcerptBytes = 300     // of a line
)

// The forms in which compilers write diagnostics.
var (
	// go, tinygo and clang: "./main.go:3:5: undefined: x", "main.c:3:5: error: unknown type name 'x'"
	placeFirst = regexp.MustCompile(`^([^\s:][^:]*\.\w+):(\d+)(?::(\d+))?: (.+)$`)
	severity   = regexp.MustCompile(`^(fatal error|error|warning|note): `)
	// rustc: "error[E0425]: cannot find value", then " --> src/main.rs:3:5"
	rustTitle = regexp.MustCompile(`^(error|warning)(?:\[\w+\])?: (.+)$`)
	rustPlace = regexp.MustCompile(`^\s*--> (.+):(\d+):(\d+)$`)
	// asc: "ERROR TS2304: Cannot find name 'x'.", then "   └─ in assembly/index.ts(3,5)"
	ascTitle = regexp.MustCompile(`^(ERROR|WARNING) \w+: (.+)$`)
	ascPlace = regexp.MustCompile(`^\s*└─ in (.+)\((\d+),(\d+)\)$`)
	// esbuild: "✘ [ERROR] Could not resolve "x"", then "    src/index.js:3:5:"
	esbuildTitle = regexp.MustCompile(`^\S+ \[(ERROR|WARNING)\] (.+?)(?: \[[a-z-]+\])?$`)
	esbuildPlace = regexp.MustCompile(`^    (\S.*):(\d+):(\d+):$`)
)

// diagnose returns what a compiler says about places of the sources, in its order, with excerpts. Output in other
// forms is ignored.
func (p *Project) diagnose(output string) []live.Diagnostic {
	var found []live.Diagnostic
	var title live.Diagnostic // whose place follows on a later line
	var last *live.Diagnostic // whose message continues on lines that begin with a tab
	for line := range strings.SplitSeq(output, "\n") {
		line = strings.TrimRight(line, "\r")
		if last != nil && strings.HasPrefix(line, "\t") {
			last.Message += "\n" + line[1:]
			continue
		}
		last = nil
		d, ok := p.parse(line, &title)
		if !ok {
			continue
		}
		if found = append(found, d); len(found) == maxDiagnostics {
			break
		}
		last = &found[len(found)-1]
	}
	p.quote(found)
	return found
}

// parse returns the diagnostic that a line completes. A line that is the title of one is kept for a later place.
func (p *Project) parse(line string, title *live.Diagnostic) (d live.Diagnostic, ok bool) {
	for _, form := range [...]*regexp.Regexp{rustTitle, ascTitle, esbuildTitle} {
		if m := form.FindStringSubmatch(line); m != nil {
			*title = live.Diagnostic{Message: m[2], Warning: strings.EqualFold(m[1], "warning")}
			return d, false
		}
	}
	for _, form := range [...]*regexp.Regexp{rustPlace, ascPlace, esbuildPlace} {
		if m := form.FindStringSubmatch(line); m != nil && title.Message != "" {
			d, *title = *title, live.Diagnostic{}
			p.place(&d, m[1], m[2], m[3])
			return d, true
		}
	}
	m := placeFirst.FindStringSubmatch(line)
	if m == nil {
		return d, false
	}
	d.Message = m[4]
	if kind := severity.FindStringSubmatch(d.Message); kind != nil {
		if kind[1] == "note" { // belongs to the diagnostic before
			return d, false
		}
		d.Message, d.Warning = d.Message[len(kind[0]):], kind[1] == "warning"
	}
	p.place(&d, m[1], m[2], m[3])
	return d, true
}

// place sets the place of a diagnostic. Files of the project become relative to it.
func (p *Project) place(d *live.Diagnostic, file, line, column string) {
	if filepath.IsAbs(file) {
		if rel, err := filepath.Rel(p.dir, file); err == nil && filepath.IsLocal(rel) {
			file = rel
		}
	}
	d.File = filepath.Clean(file)
	d.Line, _ = strconv.Atoi(line) // digits; 0 if they are too many
	d.Column, _ = strconv.Atoi(column)
}

// quote adds the lines around the places to the diagnostics. Files outside of the project are not read.
func (p *Project) quote(found []live.Diagnostic) {
	root, err := regular.OpenRoot(p.dir)
	if err != nil {
		return
	}
	defer root.Close()
	for i := range found {
		if filepath.IsLocal(found[i].File) {
			found[i].Excerpt = excerpt(root, found[i].File, found[i].Line)
		}
	}
}

// excerpt returns the lines around a line of a file, or none if they cannot be read.
func excerpt(root *os.Root, name string, number int) []live.Line {
	f, err := regular.OpenIn(root, name)
	if err != nil {
		return nil
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() > maxSourceBytes {
		return nil
	}
	var lines []live.Line
	in := bufio.NewScanner(f)
	for n := 1; n <= number+excerptLines && in.Scan(); n++ {
		if n >= number-excerptLines {
			text := in.Text()
			text = strings.ToValidUTF8(text[:min(len(text), maxExcerptBytes)], "\ufffd")
			lines = append(lines, live.Line{Number: n, Text: text, Here: n == number})
		}
	}
	return lines
}
