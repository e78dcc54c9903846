package wasihttp

import (
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/httptypes"
)

// fields is a list of header fields. Handles of the same message share their list.
type fields struct {
	list    *fieldList
	mutable bool
}

// fieldList is the fields of a message. Its size counts for the guest until the last handle or message is gone.
type fieldList struct {
	call  *call
	all   []httptypes.Field
	bytes int
	users int
}

// newList returns an empty list with one user.
func (c *call) newList() *fieldList { return &fieldList{call: c, users: 1} }

// grow counts bytes, which may be negative.
func (l *fieldList) grow(bytes int) {
	l.bytes += bytes
	l.call.fieldBytes += bytes
	if l.bytes > abi.MaxHeaderBytes || l.call.fieldBytes > httptypes.MaxFieldBytes {
		canonical.Trap("the guest holds more than %d bytes of header fields in one message, or %d in all", abi.MaxHeaderBytes, httptypes.MaxFieldBytes)
	}
}

func (l *fieldList) release() {
	if l.users--; l.users == 0 {
		l.call.fieldBytes -= l.bytes
		l.bytes, l.all = 0, nil
	}
}

func (l *fieldList) add(f httptypes.Field) {
	l.grow(f.Bytes())
	l.all = append(l.all, f)
}

// remove removes all fields of a name. Others may have the same array.
func (l *fieldList) remove(name string) {
	l.all = slices.DeleteFunc(slices.Clone(l.all), func(f httptypes.Field) bool {
		found := strings.EqualFold(f.Name, name)
		if found {
			l.grow(-f.Bytes())
		}
		return found
	})
}

// Drop implements canonical.Resource.
func (f *fields) Drop() { f.list.release() }

// Renew implements canonical.Durable: a request has the fields of the initialisation, which met the bounds. Their array
// is shared until one changes, so that a view costs nothing.
func (f *fields) Renew(s *canonical.State) canonical.Resource {
	c := of(s)
	list := c.newList()
	if list.all = slices.Clip(f.list.all); f.mutable {
		list.bytes = f.list.bytes
	}
	if c.x != nil { // else it is kept for all requests, and counts in none
		c.fieldBytes += list.bytes
	}
	return &fields{list: list, mutable: f.mutable}
}

// view returns a resource for the same list that cannot be changed.
func (l *fieldList) view() *fields {
	l.users++
	return &fields{list: l}
}

// received returns the fields of a message from outside.
func (c *call) received(h abi.Header) *fieldList {
	l := c.newList()
	l.all = httptypes.Received(h)
	l.grow(httptypes.Bytes(l.all))
	return l
}

// The cases of header-error. accepted is none.
const (
	invalidSyntax      = 0
	isForbidden        = 1
	immutable          = 2
	accepted      byte = 0xff
)

// checkName returns the name of a field, or the header-error for it.
func (c *call) checkName(at, length uint64) (name string, e byte) {
	name = c.text(at, length)
	canonicalName, ok := abi.CanonicalName(name)
	switch {
	case !ok:
		return "", invalidSyntax
	case httptypes.Forbidden(canonicalName):
		return "", isForbidden
	}
	return name, accepted
}

// checkValue returns a value of a field, or the header-error for it.
func (c *call) checkValue(at, length uint64) (value string, e byte) {
	raw := c.state.Bytes(at, length)
	if len(raw) > abi.MaxHeaderBytes {
		canonical.Trap("a field of the guest is longer than %d bytes", abi.MaxHeaderBytes)
	}
	if value = string(raw); !abi.ValidValue(value) {
		return "", invalidSyntax
	}
	return value, accepted
}

// putHeaderError writes a result<_, header-error>.
func (c *call) putHeaderError(at uint64, e byte) {
	m := c.state.Area(at, 2, 1)
	if m[0] = 0; e != accepted {
		m[0], m[1] = 1, e
	}
	c.in.Check()
}

func newFields(c *call, p []uint64) { p[0] = c.add(&fields{list: c.newList(), mutable: true}, 0) }

// fieldsFromList: list of (name, value) -> result<fields, header-error>.
func fieldsFromList(c *call, p []uint64) {
	entries, m := c.state.List(p[0], p[1], 16, 4), c.state.Area(p[2], 8, 4)
	l, failed := c.newList(), accepted
	for ; len(entries) > 0 && failed == accepted; entries = entries[16:] {
		var f httptypes.Field
		if f.Name, failed = c.checkName(pair(entries, 0)); failed == accepted {
			f.Value, failed = c.checkValue(pair(entries, 8))
		}
		if failed == accepted {
			l.add(f)
		}
	}
	if failed != accepted {
		l.release()
		m[0], m[4] = 1, failed
		return
	}
	c.putOwn(m, func() canonical.Resource { return &fields{list: l, mutable: true} }, 0, true)
	c.in.Check()
}

// pair reads an address and a length.
func pair(m []byte, at int) (address, length uint64) {
	return uint64(canonical.Uint32(m, at)), uint64(canonical.Uint32(m, at+4))
}

func fieldsGet(c *call, p []uint64) {
	f, name, m := lookUp[*fields](c, p[0]), c.text(p[1], p[2]), c.state.Area(p[3], 8, 4)
	count := 0
	for _, one := range f.list.all {
		if strings.EqualFold(one.Name, name) {
			count++
		}
	}
	to := c.state.PutList(m, 0, count, 8, 4)
	for _, one := range f.list.all {
		if strings.EqualFold(one.Name, name) {
			c.state.PutString(to, 0, one.Value)
			to = to[8:]
		}
	}
	c.in.Check()
}

func fieldsHas(c *call, p []uint64) {
	f, name := lookUp[*fields](c, p[0]), c.text(p[1], p[2])
	p[0] = 0
	if slices.ContainsFunc(f.list.all, func(one httptypes.Field) bool { return strings.EqualFold(one.Name, name) }) {
		p[0] = 1
	}
}

// fieldsSet: fields, name, list of values -> result<_, header-error>.
func fieldsSet(c *call, p []uint64) {
	f, values := lookUp[*fields](c, p[0]), c.state.List(p[3], p[4], 8, 4)
	name, e := c.checkName(p[1], p[2])
	if !f.mutable {
		e = immutable
	}
	var list []httptypes.Field
	for bytes := 0; len(values) > 0 && e == accepted; values = values[8:] {
		one := httptypes.Field{Name: name}
		one.Value, e = c.checkValue(pair(values, 0))
		if bytes += one.Bytes(); bytes > abi.MaxHeaderBytes {
			canonical.Trap("a field of the guest is longer than %d bytes", abi.MaxHeaderBytes)
		}
		list = append(list, one)
	}
	if e == accepted {
		f.list.remove(name)
		for _, one := range list {
			f.list.add(one)
		}
	}
	c.putHeaderError(p[5], e)
}

func fieldsDelete(c *call, p []uint64) {
	f := lookUp[*fields](c, p[0])
	name, e := c.checkName(p[1], p[2])
	if !f.mutable {
		e = immutable
	}
	if e == accepted {
		f.list.remove(name)
	}
	c.putHeaderError(p[3], e)
}

func fieldsAppend(c *call, p []uint64) {
	f := lookUp[*fields](c, p[0])
	name, e := c.checkName(p[1], p[2])
	value := ""
	if e == accepted {
		value, e = c.checkValue(p[3], p[4])
	}
	if !f.mutable {
		e = immutable
	}
	if e == accepted {
		f.list.add(httptypes.Field{Name: name, Value: value})
	}
	c.putHeaderError(p[5], e)
}

func fieldsEntries(c *call, p []uint64) {
	f, m := lookUp[*fields](c, p[0]), c.state.Area(p[1], 8, 4)
	to := c.state.PutList(m, 0, len(f.list.all), 16, 4)
	for i, one := range f.list.all {
		c.state.PutString(to, 16*i, one.Name)
		c.state.PutString(to, 16*i+8, one.Value)
	}
	c.in.Check()
}

func fieldsClone(c *call, p []uint64) {
	f := lookUp[*fields](c, p[0])
	l := c.newList()
	for _, one := range f.list.all {
		l.add(one)
	}
	p[0] = c.add(&fields{list: l, mutable: true}, 0)
	c.in.Check()
}
