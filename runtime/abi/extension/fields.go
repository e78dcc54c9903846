package extension

import (
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// usualNames is the number of names of an answer's fields that are sorted without an allocation.
const usualNames = 24

// fetchFields writes all fields of an answer. Lists of fields alternate names and values.
func fetchFields(in *engine.Instance, s *State, p []uint64) int64 {
	c := s.call(p[0], true)
	if c == nil {
		return int64(abi.OutboundBadState)
	}
	header := c.header(p[1])
	var space [usualNames]string
	names, size, count := space[:0], 0, 0
	for name, values := range header {
		names = append(names, name)
		for _, value := range values {
			if listable(name, value) {
				size += len(name) + len(value) + 2
				count += 2
			}
		}
	}
	if size <= int(uint32(p[3])) {
		slices.Sort(names)
		writeFields(view(in, p[2], uint64(size)), header, names)
	}
	if size >= abi.CostlyBytes {
		in.Check()
	}
	return int64(count)<<32 | int64(size)
}

// listable reports whether a list can have a field. HTTP has no NUL in fields: one would shift all that follow.
func listable(name, value string) bool {
	return strings.IndexByte(name, 0) < 0 && strings.IndexByte(value, 0) < 0
}

// writeFields fills buf with the fields that have these names.
func writeFields(buf []byte, header abi.Header, names []string) {
	for _, name := range names {
		for _, value := range header[name] {
			if !listable(name, value) {
				continue
			}
			lower(buf[:copy(buf, name)])
			buf = terminate(buf, len(name))
			buf = terminate(buf, copy(buf, value))
		}
	}
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
	list := string(view(in, p[1], p[2]))
	c := s.call(p[0], false)
	if c == nil || c.written {
		return int64(abi.OutboundBadState)
	}
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
