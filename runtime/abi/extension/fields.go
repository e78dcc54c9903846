package extension

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

const (
	// usualNames is the number of names of a message that are sorted without an allocation.
	usualNames = 24
	// canonicalNames is added to a kind for names like Content-Type.
	canonicalNames = 16
	// kindRequest selects the header of the request that the guest serves.
	kindRequest = 0
)

// fetchFields writes all fields of an answer. Lists of fields alternate names and values.
func fetchFields(in *engine.Instance, s *State, p []uint64) int64 {
	c := s.call(p[0], true)
	if c == nil {
		return int64(abi.OutboundBadState)
	}
	f := fields{header: c.header(p[1] &^ canonicalNames), canonical: p[1]&canonicalNames != 0}
	return f.put(in, p[2], p[3])
}

// requestFields writes all fields of the request that the guest serves. There are none besides.
func requestFields(in *engine.Instance, s *State, p []uint64) int64 {
	if s.exchange == nil || uint32(p[0])&^canonicalNames != kindRequest {
		return 0
	}
	f := fields{header: s.exchange.Header, host: s.exchange.Host, canonical: p[0]&canonicalNames != 0}
	return f.put(in, p[1], p[2])
}

// fields are those of a message.
type fields struct {
	header    abi.Header
	host      string // of a request, which is outside of its header; may be empty
	canonical bool   // the form of the names
}

// hostName is the name of the field that has the host.
const hostName = "Host"

// put writes the list if it fits, and returns count << 32 | length.
func (f *fields) put(in *engine.Instance, buf, limit uint64) int64 {
	var space [usualNames]string
	names, size, count := space[:0], 0, 0
	add := func(name, value string) {
		if listable(name, value) {
			size += len(name) + len(value) + 2
			count += 2
		}
	}
	for name, values := range f.header {
		names = append(names, name)
		for _, value := range values {
			add(name, value)
		}
	}
	if f.host != "" {
		add(hostName, f.host)
	}
	if size <= int(uint32(limit)) {
		slices.Sort(names)
		f.write(view(in, buf, uint64(size)), names)
	}
	if size >= abi.CostlyBytes {
		in.Check()
	}
	return int64(count)<<32 | int64(size)
}

// write fills buf with the host and the fields that have these names.
func (f *fields) write(buf []byte, names []string) {
	if f.host != "" {
		buf = f.writeField(buf, hostName, f.host)
	}
	for _, name := range names {
		for _, value := range f.header[name] {
			buf = f.writeField(buf, name, value)
		}
	}
}

// writeField writes a field and returns the rest of buf.
func (f *fields) writeField(buf []byte, name, value string) []byte {
	if !listable(name, value) {
		return buf
	}
	if n := copy(buf, name); !f.canonical {
		lower(buf[:n])
	}
	buf = terminate(buf, len(name))
	return terminate(buf, copy(buf, value))
}

// listable reports whether a list can have a field. HTTP has no NUL in fields: one would shift all that follow.
func listable(name, value string) bool {
	return strings.IndexByte(name, 0) < 0 && strings.IndexByte(value, 0) < 0
}

// terminate ends a string of n bytes with a NUL, and returns the rest of buf.
func terminate(buf []byte, n int) []byte {
	buf[n] = 0
	return buf[n+1:]
}

// lower changes ASCII letters to lower case, so that the length stays.
func lower(name []byte) {
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			name[i] = c + ('a' - 'A')
		}
	}
}

// fetchAddFields adds the fields of a list, up to the first that is refused.
func fetchAddFields(in *engine.Instance, s *State, p []uint64) int64 {
	if uint32(p[2]) > maxTextBytes {
		return int64(abi.OutboundTooLarge)
	}
	piece := view(in, p[1], p[2])
	c := s.call(p[0], false)
	if c == nil || c.written {
		return int64(abi.OutboundBadState)
	}
	if c.listed += len(piece); c.listed > maxTextBytes {
		reason := fmt.Sprintf("the lists of the request's fields are larger than %d bytes together", maxTextBytes)
		return s.fail(&abi.OutboundError{Code: abi.OutboundTooLarge, Reason: reason})
	}
	list := string(piece)
	if len(list) >= abi.CostlyBytes {
		in.Check()
	}
	for list != "" {
		name, rest, _ := strings.Cut(list, "\x00")
		value, rest, whole := strings.Cut(rest, "\x00")
		if !whole {
			return int64(abi.OutboundInvalid)
		}
		if code := s.addField(c, name, value); code != 0 {
			return code
		}
		list = rest
	}
	return 0
}

// addField adds a field to a request, and returns 0 or the code of the failure.
func (s *State) addField(c *call, name, value string) int64 {
	canonical, ok := abi.CanonicalName(name)
	if !ok || !abi.ValidValue(value) || abi.HopByHop(canonical) {
		return int64(abi.OutboundInvalid)
	}
	if err := c.AddHeader(canonical, value); err != nil {
		return s.fail(err)
	}
	return 0
}
