package rewrite

import "unicode/utf8"

// nameEntry is a function's name in the name section.
type nameEntry struct {
	function uint32
	name     string
}

// custom reads the name and producers sections. Apart from its name, a custom
// section cannot make a module invalid: malformed contents are ignored.
func (m *module) custom(s *reader) error {
	name := s.name("section name")
	if s.err != nil {
		return s.err
	}
	switch name {
	case "name":
		if m.funcNames == nil {
			m.readNames(s)
		}
	case "producers":
		if m.producers == nil {
			m.readProducers(s)
		}
	}
	return nil
}

// readNames reads the function names of a name section. The
// other subsections are dropped because nothing uses them.
func (m *module) readNames(r *reader) {
	for r.more() {
		id := r.byte()
		sub := r.sub(int(r.u32()))
		if r.err != nil || id != 1 {
			continue
		}
		var names []nameEntry
		next := uint32(0)
		for range sub.count("names", maxEntries) {
			e := nameEntry{sub.u32(), sub.name("function name")}
			if sub.err != nil || e.function < next {
				return
			}
			next = e.function + 1
			names = append(names, e)
		}
		m.funcNames = names
	}
}

// keptNameBytes is the largest part of a name that is kept. wazero
// formats a stack trace for each trap, with the names of many frames.
const keptNameBytes = 200

// shorten truncates a name at a character boundary.
func shorten(name string) string {
	if len(name) <= keptNameBytes {
		return name
	}
	end := keptNameBytes
	for end > 0 && !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end]
}

// functionName returns the name of a function, or "".
func (m *module) functionName(function int) string {
	for _, e := range m.funcNames {
		if int(e.function) == function {
			return e.name
		}
	}
	return ""
}

// readProducers reads the producers section of the tool conventions: fields of name and version pairs.
func (m *module) readProducers(r *reader) {
	var found []string
	for range r.count("fields", 16) {
		field := r.name("field")
		for range r.count("values", 64) {
			name, version := r.name("tool"), r.name("version")
			if r.err != nil {
				return
			}
			if field == "sdk" {
				continue
			}
			if version != "" {
				name += " " + version
			}
			found = append(found, name)
		}
	}
	m.producers = found
}

// appendNames writes a name section with the shifted function names and those of the injected functions.
func (w *writer) appendNames(out []byte) []byte {
	if len(w.m.funcNames) == 0 {
		return out
	}
	var list []byte
	n := uint32(0)
	add := func(function uint32, name string) {
		list = appendName(appendU32(list, function), shorten(name))
		n++
	}
	yieldAdded := false
	for _, e := range w.m.funcNames {
		if int64(e.function) >= int64(len(w.m.funcs)) {
			break
		}
		if !yieldAdded && int(e.function) >= w.m.importedFuncs {
			add(w.yield, "vespo.yield")
			yieldAdded = true
		}
		add(w.shift(e.function), e.name)
	}
	if !yieldAdded {
		add(w.yield, "vespo.yield")
	}
	for i, h := range w.helpers {
		add(w.firstHelper+uint32(i), h.name)
	}
	sub := append(appendU32(nil, n), list...)
	body := appendName(nil, "name")
	body = append(appendU32(append(body, 1), uint32(len(sub))), sub...)
	return appendSection(out, sectionCustom, body)
}
