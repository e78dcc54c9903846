package wasihttp3

import (
	"slices"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/httptypes"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// fields is the resource of header fields and trailers. Handles of a message share its list, and cannot change it.
type fields struct {
	list      *fieldList
	immutable bool
}

// fieldList is a list of fields, whose names are in lower case. Its size counts for the guest until the last user is gone.
type fieldList struct {
	call  *call
	all   []httptypes.Field
	bytes int
	users int
}

// Drop implements canonical.Resource.
func (f *fields) Drop() { f.list.release() }

// newFields returns fields of the guest.
func (c *call) newFields() *fields { return &fields{list: &fieldList{call: c, users: 1}} }

// shared returns an immutable view of fields, which has to be dropped, too.
func (f *fields) shared() *fields {
	f.list.users++
	return &fields{list: f.list, immutable: true}
}

func (l *fieldList) release() {
	if l.users--; l.users == 0 {
		l.call.fieldBytes -= l.bytes
		l.all, l.bytes = nil, 0
	}
}

// add appends a field. It reports whether the guest may hold that much.
func (l *fieldList) add(f httptypes.Field) bool {
	if !l.count(f.Bytes()) {
		return false
	}
	l.all = append(l.all, f)
	return true
}

// count adds bytes of the message, which may be negative, that are not in fields. It reports whether the guest may hold that much.
func (l *fieldList) count(bytes int) bool {
	if bytes > 0 && (l.bytes+bytes > abi.MaxHeaderBytes || l.call.fieldBytes+bytes > httptypes.MaxFieldBytes) {
		return false
	}
	l.bytes += bytes
	l.call.fieldBytes += bytes
	return true
}

func (l *fieldList) remove(name string) {
	l.all = slices.DeleteFunc(l.all, func(f httptypes.Field) bool {
		found := f.Name == name
		if found {
			l.bytes -= f.Bytes()
			l.call.fieldBytes -= f.Bytes()
		}
		return found
	})
}

// restore restores what the list had before a change that has failed.
func (l *fieldList) restore(all []httptypes.Field, bytes int) {
	l.call.fieldBytes += bytes - l.bytes
	l.all, l.bytes = all, bytes
}

func (l *fieldList) values(name string) (values []string) {
	for _, f := range l.all {
		if f.Name == name {
			values = append(values, f.Value)
		}
	}
	return values
}

// copied returns a copy that the guest can change. The guest traps if it holds too much.
func (l *fieldList) copied() *fieldList {
	c := &fieldList{call: l.call, users: 1, all: slices.Clone(l.all)}
	c.mustCount(httptypes.Bytes(c.all))
	return c
}

// mustCount is count for a list that the host makes.
func (l *fieldList) mustCount(bytes int) {
	if !l.count(bytes) {
		canonical.Trap("the guest holds more than %d bytes of header fields in one message, or %d in all", abi.MaxHeaderBytes, httptypes.MaxFieldBytes)
	}
}

// fieldsOf returns fields for a header of the host, which the guest cannot change.
func (c *call) fieldsOf(h abi.Header) *fields {
	l := &fieldList{call: c, users: 1, all: httptypes.Received(h)}
	l.mustCount(httptypes.Bytes(l.all))
	return &fields{list: l, immutable: true}
}

// headerError is a header-error of the interface.
type headerError uint8

const (
	noHeaderError headerError = iota
	invalidSyntax
	forbiddenField
	immutableFields
	sizeExceeded
)

// Layout of results with a header-error: the payload of the error begins at 4.
const (
	headerResultBytes = 20
	headerResultAlign = 4
)

// checkName returns the lower case of a name that the guest may set.
func checkName(name string) (string, headerError) {
	canonicalName, ok := abi.CanonicalName(name)
	switch {
	case !ok:
		return "", invalidSyntax
	case httptypes.Forbidden(canonicalName):
		return "", forbiddenField
	}
	return abi.LowerName(name), noHeaderError
}

// text returns a name or value of the guest. ok is false if it is longer than a header may be.
func text(s *canonical.State, at, length uint64) (t string, ok bool) {
	raw := s.Bytes(at, length)
	if len(raw) > abi.MaxHeaderBytes {
		return "", false
	}
	return string(raw), true
}

// name returns the name that the guest looks for, in lower case; "" if there can be no such field.
func name(s *canonical.State, at, length uint64) string {
	t, _ := text(s, at, length)
	return abi.LowerName(t)
}

// putHeaderError stores a result without a payload.
func putHeaderError(s *canonical.State, at uint64, e headerError) {
	m := s.Area(at, headerResultBytes, headerResultAlign)
	clear(m)
	if e != noHeaderError {
		m[0], m[4] = 1, byte(e-1)
	}
}

func putValues(s *canonical.State, m []byte, at int, values []string) { s.PutStrings(m, at, values) }

// change changes fields that belong to the guest.
func change(s *canonical.State, handle, nameAt, nameLength, result uint64, f func(l *fieldList, name string) headerError) {
	fs := canonical.Get[*fields](&s.Handles, handle)
	e := sizeExceeded
	if t, ok := text(s, nameAt, nameLength); ok {
		var lower string
		if lower, e = checkName(t); e == noHeaderError {
			if e = immutableFields; !fs.immutable {
				e = f(fs.list, lower)
			}
		}
	}
	putHeaderError(s, result, e)
}

// appendValue appends a value in the guest's memory.
func appendValue(s *canonical.State, l *fieldList, name string, at, length uint64) headerError {
	value, ok := text(s, at, length)
	if !ok {
		return sizeExceeded
	}
	switch {
	case !abi.ValidValue(value):
		return invalidSyntax
	case !l.add(httptypes.Field{Name: name, Value: value}):
		return sizeExceeded
	}
	return noHeaderError
}

// fieldsFunctions returns the functions of the resource fields.
func fieldsFunctions() []engine.HostFunc {
	return []engine.HostFunc{
		canonical.Func("[constructor]fields", i32, func(s *canonical.State, p []uint64) {
			p[0] = uint64(s.Handles.Add(of(s).newFields(), 0))
		}),
		canonical.Func("[static]fields.from-list", 0, fromList, i32, i32, i32),
		canonical.Func("[method]fields.get", 0, func(s *canonical.State, p []uint64) {
			values := canonical.Get[*fields](&s.Handles, p[0]).list.values(name(s, p[1], p[2]))
			putValues(s, s.Area(p[3], 8, 4), 0, values)
		}, i32, i32, i32, i32),
		canonical.Func("[method]fields.has", i32, func(s *canonical.State, p []uint64) {
			wanted := name(s, p[1], p[2])
			has := slices.ContainsFunc(canonical.Get[*fields](&s.Handles, p[0]).list.all, func(e httptypes.Field) bool { return e.Name == wanted })
			p[0] = flag(has)
		}, i32, i32, i32),
		canonical.Func("[method]fields.set", 0, setFields, i32, i32, i32, i32, i32, i32),
		canonical.Func("[method]fields.delete", 0, func(s *canonical.State, p []uint64) {
			change(s, p[0], p[1], p[2], p[3], func(l *fieldList, name string) headerError {
				l.remove(name)
				return noHeaderError
			})
		}, i32, i32, i32, i32),
		canonical.Func("[method]fields.get-and-delete", 0, getAndDelete, i32, i32, i32, i32),
		canonical.Func("[method]fields.append", 0, func(s *canonical.State, p []uint64) {
			change(s, p[0], p[1], p[2], p[5], func(l *fieldList, name string) headerError {
				return appendValue(s, l, name, p[3], p[4])
			})
		}, i32, i32, i32, i32, i32, i32),
		canonical.Func("[method]fields.copy-all", 0, copyAll, i32, i32),
		canonical.Func("[method]fields.clone", i32, func(s *canonical.State, p []uint64) {
			list := canonical.Get[*fields](&s.Handles, p[0]).list.copied()
			p[0] = uint64(s.Handles.Add(&fields{list: list}, 0))
		}, i32),
		canonical.DropFunc[*fields]("fields"),
	}
}

func flag(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// pairBytes is the size of an address and a length.
const pairBytes = 8

func fromList(s *canonical.State, p []uint64) {
	list := s.List(p[0], p[1], 2*pairBytes, 4)
	f, e := of(s).newFields(), noHeaderError
	for ; len(list) > 0 && e == noHeaderError; list = list[2*pairBytes:] {
		word := func(i int) uint64 { return uint64(canonical.Uint32(list, 4*i)) }
		t, ok := text(s, word(0), word(1))
		if e = sizeExceeded; !ok {
			break
		}
		if t, e = checkName(t); e == noHeaderError {
			e = appendValue(s, f.list, t, word(2), word(3))
		}
	}
	putHeaderError(s, p[2], e)
	if e != noHeaderError {
		f.Drop()
		return
	}
	canonical.PutUint32(s.Area(p[2], headerResultBytes, headerResultAlign), 4, uint32(s.Handles.Add(f, 0)))
}

func setFields(s *canonical.State, p []uint64) {
	change(s, p[0], p[1], p[2], p[5], func(l *fieldList, name string) headerError {
		before, bytes := slices.Clone(l.all), l.bytes
		l.remove(name)
		for list := s.List(p[3], p[4], pairBytes, 4); len(list) > 0; list = list[pairBytes:] {
			if e := appendValue(s, l, name, uint64(canonical.Uint32(list, 0)), uint64(canonical.Uint32(list, 4))); e != noHeaderError {
				l.restore(before, bytes)
				return e
			}
		}
		return noHeaderError
	})
}

func getAndDelete(s *canonical.State, p []uint64) {
	f := canonical.Get[*fields](&s.Handles, p[0])
	wanted := name(s, p[1], p[2])
	values := f.list.values(wanted)
	change(s, p[0], p[1], p[2], p[3], func(l *fieldList, name string) headerError {
		l.remove(name)
		return noHeaderError
	})
	if m := s.Area(p[3], headerResultBytes, headerResultAlign); m[0] == 0 {
		putValues(s, m, 4, values)
	}
}

func copyAll(s *canonical.State, p []uint64) {
	f := canonical.Get[*fields](&s.Handles, p[0])
	pairs := make([][2]string, len(f.list.all))
	for i, e := range f.list.all {
		pairs[i] = [2]string{e.Name, e.Value}
	}
	s.PutPairs(s.Area(p[1], 8, 4), 0, pairs)
}
