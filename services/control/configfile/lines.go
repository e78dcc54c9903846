package configfile

import (
	"bytes"
	"cmp"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// Names of the tables.
const (
	tableServer  = "server"
	tableService = "service"
)

// lines maps keys to their lines in a file.
type lines struct {
	top      map[string]int   // by key
	server   map[string]int   // by key, or by the keys of nested tables: see lineOf
	services []map[string]int // the same; "" is the line of the table
}

// findLines finds the lines of all keys in text, which must be valid TOML. Keys that it does not find have
// line 0.
func findLines(text []byte) lines {
	l := lines{top: map[string]int{}, server: map[string]int{}}
	var p unstable.Parser
	p.Reset(text)
	var table []string
	at := position{line: 1}
	for p.NextExpression() {
		e := p.Expression()
		key, first := keyOf(e)
		line := at.moveTo(text, first)
		switch {
		case e.Kind == unstable.KeyValue:
			l.note(append(append([]string{}, table...), key...), line)
		case e.Kind == unstable.ArrayTable && len(key) == 1 && key[0] == tableService:
			l.services = append(l.services, map[string]int{"": line})
			table = key
		case e.Kind == unstable.Table || e.Kind == unstable.ArrayTable:
			l.note(key, line)
			table = key
		}
	}
	return l
}

// position is an offset in a text, with its line. The lines of all keys are found in one pass: the parser's own positions are
// counted from the beginning each time.
type position struct {
	offset, line int
}

// moveTo moves to an offset that is not before the current one, and returns its line.
func (p *position) moveTo(text []byte, offset int) int {
	p.line += bytes.Count(text[p.offset:offset], []byte{'\n'})
	p.offset = offset
	return p.line
}

// keyOf returns the parts of a key and the offset of the first part.
func keyOf(e *unstable.Node) (key []string, offset int) {
	for it := e.Key(); it.Next(); {
		node := it.Node()
		if len(key) == 0 {
			offset = int(node.Raw.Offset)
		}
		key = append(key, string(node.Data))
	}
	return key, offset
}

// note records the first line of a key.
func (l *lines) note(key []string, line int) {
	at := l.top
	switch {
	case len(key) == 0:
		return
	case len(key) == 1:
	case key[0] == tableServer:
		at, key = l.server, key[1:]
	case key[0] == tableService && len(l.services) > 0:
		at, key = l.services[len(l.services)-1], key[1:]
	}
	at[key[0]] = cmp.Or(at[key[0]], line)
	if len(key) > 1 {
		place := strings.Join(key, pathSeparator)
		at[place] = cmp.Or(at[place], line)
	}
}

// pathSeparator separates the keys of nested tables in lines.
const pathSeparator = "\x00"

// lineOf returns the line of a value by its path, or of the nearest table around it.
func lineOf(where map[string]int, path []string) int {
	for n := len(path); n > 0; n-- {
		if line := where[strings.Join(path[:n], pathSeparator)]; line > 0 {
			return line
		}
	}
	return where[""]
}

// ofService returns the lines of the service with the given index.
func (l *lines) ofService(index int) map[string]int {
	if index < len(l.services) {
		return l.services[index]
	}
	return map[string]int{"": l.top[tableService]}
}
