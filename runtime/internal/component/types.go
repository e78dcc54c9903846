package component

// Type is a type of the component level. Its form is the first byte of its binary encoding.
type Type struct {
	Form     byte
	Fields   []Field // record, variant, tuple, flags, enum, result (ok, error), parameters; one for the others
	Result   *Type   // of a function; nil for none
	Length   uint32  // of a list of fixed length
	Resource *Resource

	decls *declarations // of an instance or component type
}

// Field is a part of a type. Type is nil for a case without payload, and for a name of flags or an enum.
type Field struct {
	Name string
	Type *Type
}

// Resource is the identity of a resource type.
type Resource struct {
	Interface string // that exports it, as the component names it; empty for one of a type that no import has
	Name      string
	Own       bool // defined by the component
}

// Forms of types.
const (
	FormBool          = 0x7f
	FormString        = 0x73
	FormRecord        = 0x72
	FormVariant       = 0x71
	FormList          = 0x70
	FormTuple         = 0x6f
	FormFlags         = 0x6e
	FormEnum          = 0x6d
	FormOption        = 0x6b
	FormResult        = 0x6a
	FormOwn           = 0x69
	FormBorrow        = 0x68
	FormFixedList     = 0x67
	FormStream        = 0x66
	FormFuture        = 0x65
	FormErrorContext  = 0x64
	FormMap           = 0x63
	FormFunc          = 0x40
	FormComponent     = 0x41
	FormInstance      = 0x42
	FormAsyncFunc     = 0x43
	FormResource      = 0x3f
	FormResourceAsync = 0x3e // with an asynchronous destructor
)

func primitive(b byte) bool { return b >= FormString && b <= FormBool || b == FormErrorContext }

// declarations are the body of an instance or component type. They are evaluated for each import of that type.
type declarations struct {
	from, to  int // of the vector
	outer     *scope
	component bool
}

// typeDefinition evaluates an entry of a type section.
func (d *decoder) typeDefinition(s *scope, r *reader) {
	pos := r.pos
	form := r.byte()
	t := &Type{Form: form}
	switch {
	case r.err != nil:
		return
	case form == FormFunc || form == FormAsyncFunc:
		t.Fields = s.fields(r, "parameters", true)
		t.Result = s.results(r)
	case form == FormInstance || form == FormComponent:
		t.decls = &declarations{from: r.pos, outer: s, component: form == FormComponent}
		d.declarations(t.decls, r, "")
		t.decls.to = r.pos
	case form == FormResource || form == FormResourceAsync:
		t.Resource = &Resource{Own: true}
		if rep := r.byte(); rep != 0x7f {
			r.fail(invalid(pos, "representation %#02x of a resource", rep))
		}
		s.resourceDestructor(r, form)
	default:
		s.valueForm(r, t)
	}
	s.types = append(s.types, t)
}

func (s *scope) resourceDestructor(r *reader, form byte) {
	if form == FormResourceAsync {
		at(r, s.core[coreSortFunc], r.u32(), "core function")
	}
	if r.flag("the mark of a function") {
		at(r, s.core[coreSortFunc], r.u32(), "core function")
	}
}

// fields reads names with types; without types if they have none.
func (s *scope) fields(r *reader, what string, typed bool) (fields []Field) {
	for n := r.count(what); n > 0 && r.err == nil; n-- {
		f := Field{Name: r.name("name of " + what)}
		if typed {
			f.Type = s.value(r)
		}
		fields = append(fields, f)
	}
	return fields
}

// results reads the results of a function.
func (s *scope) results(r *reader) *Type {
	pos := r.pos
	switch b := r.byte(); {
	case r.err != nil:
	case b == 0:
		return s.value(r)
	case b == 1:
		if n := r.byte(); n != 0 {
			r.fail(unsupportedAt(pos, "functions with named results are not supported: build with newer tools"))
		}
	default:
		r.fail(invalid(pos, "form %#02x of results", b))
	}
	return nil
}

// optional reads a type that may be missing.
func (s *scope) optional(r *reader) *Type {
	if r.flag("the mark of a type") {
		return s.value(r)
	}
	return nil
}

// value reads a value type: an index, or a primitive type.
func (s *scope) value(r *reader) *Type {
	if r.err == nil && r.pos < r.end {
		if b := r.bin[r.pos]; b >= 0x40 && b < 0x80 {
			pos := r.pos
			r.pos++
			if !primitive(b) {
				r.fail(invalid(pos, "unknown primitive type %#02x", b))
			}
			return &Type{Form: b}
		}
	}
	pos := r.pos
	t := at(r, s.types, r.index(), "type")
	if r.err == nil && (t.Form < FormMap || t.Form > FormBool) {
		r.fail(invalid(pos, "the type is not of a value"))
	}
	return t
}

// valueForm reads the rest of the definition of a value type.
func (s *scope) valueForm(r *reader, t *Type) {
	pos := r.pos - 1
	switch t.Form {
	case FormRecord:
		t.Fields = s.fields(r, "fields", true)
	case FormVariant:
		for n := r.count("cases"); n > 0 && r.err == nil; n-- {
			t.Fields = append(t.Fields, Field{r.name("name of a case"), s.optional(r)})
			if r.byte() != 0 {
				r.fail(invalid(r.pos, "a case of a variant refines another one"))
			}
		}
	case FormList, FormOption:
		t.Fields = []Field{{Type: s.value(r)}}
	case FormFixedList:
		t.Fields, t.Length = []Field{{Type: s.value(r)}}, r.u32()
	case FormMap:
		t.Fields = []Field{{Type: s.value(r)}, {Type: s.value(r)}}
	case FormTuple:
		for n := r.count("parts"); n > 0 && r.err == nil; n-- {
			t.Fields = append(t.Fields, Field{Type: s.value(r)})
		}
	case FormFlags, FormEnum:
		t.Fields = s.fields(r, "names", false)
	case FormResult:
		t.Fields = []Field{{Type: s.optional(r)}, {Type: s.optional(r)}}
	case FormStream, FormFuture:
		t.Fields = []Field{{Type: s.optional(r)}}
	case FormOwn, FormBorrow:
		t.Resource = s.resource(r)
	default:
		if !primitive(t.Form) {
			r.fail(invalid(pos, "unknown form %#02x of a type", t.Form))
		}
	}
}

// resource reads the index of a resource type.
func (s *scope) resource(r *reader) *Resource {
	pos := r.pos
	t := at(r, s.types, r.u32(), "type")
	if r.err != nil {
		return nil
	}
	if t.Form != FormResource && t.Form != FormResourceAsync {
		r.fail(invalid(pos, "the type is not a resource"))
	}
	return t.Resource
}

// index reads an index that is encoded as a signed integer of 33 bits.
func (r *reader) index() uint32 {
	pos := r.pos
	v := r.u32From33()
	if r.err == nil && v < 0 {
		r.fail(invalid(pos, "a type index is negative"))
	}
	return uint32(v)
}

func (r *reader) u32From33() (v int64) {
	from := r.pos
	for shift := uint(0); shift < 35; shift += 7 {
		b := r.byte()
		if r.err != nil {
			return 0
		}
		if v |= int64(b&0x7f) << shift; b < 0x80 {
			if b&0x40 != 0 {
				v -= 1 << (shift + 7)
			}
			if v >= 1<<32 {
				break
			}
			return v
		}
	}
	r.fail(invalid(from, "integer is longer than 33 bits"))
	return 0
}

// declarations evaluates the body of an instance or component type at r. Resources that it exports are of the interface owner.
func (d *decoder) declarations(decls *declarations, r *reader, owner string) *scope {
	s := &scope{outer: decls.outer}
	if !d.enter(r) {
		return s
	}
	defer d.leave()
	for n := r.count("declarations"); n > 0 && r.err == nil; n-- {
		pos := r.pos
		switch b := r.byte(); {
		case r.err != nil:
		case b == 0:
			s.coreType(r)
		case b == 1:
			d.typeDefinition(s, r)
		case b == 2:
			d.alias(s, r)
		case b == 3 && decls.component:
			s.define(d.external(s, r, r.externName(), ""))
		case b == 4:
			name := r.externName()
			it := d.external(s, r, name, owner)
			s.export(r, name, it)
			s.define(it)
		default:
			r.fail(invalid(pos, "form %#02x of a declaration", b))
		}
	}
	return s
}

// external reads the description of an import or export, and returns a definition of it. Functions and resources
// are of the interface owner; for imports of the root that is rootInterface, and an instance is an interface itself.
func (d *decoder) external(s *scope, r *reader, name, owner string) item {
	pos := r.pos
	it := item{sort: r.byte()}
	switch it.sort {
	case sortCore:
		if b := r.byte(); b != coreSortModule {
			r.fail(invalid(pos, "description %#02x of an import or export", b))
		}
		r.u32()
		it.module = &module{}
	case sortFunc:
		it.function = &function{owner: owner, name: name, typ: s.described(r, FormFunc, FormAsyncFunc)}
	case sortType:
		it.typ = s.bound(r, name, owner)
	case sortComponent:
		s.described(r, FormComponent, FormComponent)
		it.component = &nested{}
	case sortInstance:
		it.instance = newInstance(nil)
		if t := s.described(r, FormInstance, FormInstance); t != nil {
			it.instance = d.interfaceOf(t, r, name)
		}
	default:
		r.fail(unsupportedAt(pos, "imports and exports of the sort %#02x (values) are not supported", it.sort))
	}
	return it
}

// described reads the index of a type of one of two forms.
func (s *scope) described(r *reader, a, b byte) *Type {
	pos := r.pos
	t := at(r, s.types, r.u32(), "type")
	if r.err == nil && t.Form != a && t.Form != b {
		r.fail(invalid(pos, "the description has another sort than its type"))
		return nil
	}
	return t
}

// bound reads the bound of a type: equal to another one, or any resource.
func (s *scope) bound(r *reader, name, owner string) *Type {
	pos := r.pos
	switch b := r.byte(); {
	case r.err != nil:
	case b == 0:
		return at(r, s.types, r.u32(), "type")
	case b == 1:
		return &Type{Form: FormResource, Resource: &Resource{Interface: owner, Name: name}}
	default:
		r.fail(invalid(pos, "bound %#02x of a type", b))
	}
	return nil
}

// interfaceOf evaluates an instance type anew, with the interface's name.
func (d *decoder) interfaceOf(t *Type, r *reader, name string) *instance {
	body := &reader{bin: d.bin, pos: t.decls.from, end: t.decls.to, budget: r.budget}
	body.chargeBytes(body.end - body.pos)
	s := d.declarations(t.decls, body, name)
	if body.err != nil {
		r.fail(body.err)
	}
	return newInstance(s.exports)
}

// coreType reads a core type. Only those of functions are supported: others describe imported modules.
func (s *scope) coreType(r *reader) {
	pos := r.pos
	switch b := r.byte(); {
	case r.err != nil:
	case b == 0x60:
		for range 2 {
			r.skip(r.length("value types"))
		}
	default:
		r.fail(unsupportedAt(pos, "core types of the form %#02x (modules, garbage collection) are not supported", b))
	}
	s.coreTypes++
}
