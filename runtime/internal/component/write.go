package component

import "strings"

// write returns the guest with its new imports and exports.
func (p *plan) write() []byte {
	m, bin := p.module(), p.d.bin
	out := make([]byte, 0, m.to-m.from+1024)
	out = append(out, corePreamble...)
	for _, s := range m.sections {
		body := bin[s.body.from:s.body.to]
		switch {
		case s.id == coreSectionImport:
			body = p.importSection()
		case s.id == coreSectionExport:
			body = p.exportSection()
		case s.id == coreSectionCustom && componentType(bin, s.body):
			continue
		}
		out = appendU32(append(out, s.id), uint32(len(body)))
		out = append(out, body...)
	}
	return out
}

// componentType reports whether a custom section is for the tools that made the component.
func componentType(bin []byte, s span) bool {
	r := &reader{bin: bin, pos: s.from, end: s.to}
	return strings.HasPrefix(r.name("section name"), "component-type")
}

func (p *plan) importSection() []byte {
	out := appendU32(nil, uint32(len(p.imports)))
	for i, n := range p.imports {
		desc := p.module().imports[i].desc
		out = appendName(appendName(out, n.module), n.name)
		out = append(out, p.d.bin[desc.from:desc.to]...)
	}
	return out
}

func (p *plan) exportSection() []byte {
	out := appendU32(nil, uint32(len(p.order)))
	for _, name := range p.order {
		e := p.exports[name]
		out = appendU32(append(appendName(out, name), e.sort), e.index)
	}
	return out
}

func appendU32(out []byte, v uint32) []byte {
	for v >= 0x80 {
		out = append(out, byte(v)|0x80)
		v >>= 7
	}
	return append(out, byte(v))
}

func appendName(out []byte, name string) []byte {
	return append(appendU32(out, uint32(len(name))), name...)
}
