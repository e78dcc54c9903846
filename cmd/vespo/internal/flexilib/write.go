package flexilib

import (
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/services/control/configfile"
)

// Write writes a configuration file. Libraries become modules of the same name, which still have to be built.
func Write(w io.Writer, source string, declared []Service) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made by \"vespo import\" of %s. Libraries are named as modules here: build them for WebAssembly.\n", strconv.QuoteToASCII(source))
	b.WriteString("# A prefix is made of whole segments: /api takes /api and /api/x, and not /apix as in FlexiLib.\n")
	for _, s := range declared {
		fmt.Fprintf(&b, "\n# line %d: %s\n", s.Rule.Line, printable(s.Rule.Text))
		if s.Before != 0 {
			fmt.Fprintf(&b, "# again, for requests that line %d would get otherwise\n", s.Before)
		}
		fmt.Fprintf(&b, "[[service]]\nprefix = %s\n", quoted(string(s.Key.Prefix)))
		if match := s.Key.Match.String(); match != "" {
			fmt.Fprintf(&b, "match = %s\n", quoted(match))
		}
		fmt.Fprintf(&b, "module = %s # was %s\n", quoted(module(s.Rule.Library)), printable(s.Rule.Library))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// module returns the file name of the module for a library.
func module(library string) string {
	dir, name := path.Split(library)
	for _, ending := range [...]string{".so", ".dylib", ".dll"} {
		if stem, _, ok := strings.Cut(name, ending); ok && stem != "" {
			return dir + stem + ".wasm"
		}
	}
	return dir + strings.TrimSuffix(name, path.Ext(name)) + ".wasm"
}

// quoted returns a basic string of TOML for the value s.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range configfile.Escape(s) {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, "\\u%04X", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// printable replaces control characters, which TOML comments cannot contain.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
