package extension

import (
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

const (
	i32 = engine.I32
	i64 = engine.I64
)

// HostModule returns the functions of the module. Every instance
// whose module imports one of them needs a *State as its Extension.
func HostModule() engine.HostModule {
	return engine.HostModule{
		Name: ModuleName,
		Funcs: append([]engine.HostFunc{
			function("prefix", i32, prefix, i32, i32),
			function("rest", i32, rest, i32, i32),
			function("request_fields", i64, requestFields, i32, i32, i32),
			function("config_get", i32, configGet, i32, i32, i32, i32),
			function("fetch_open", i32, fetchOpen, i32, i32, i32, i32),
			function("fetch_header", i32, fetchHeader, i32, i32, i32, i32, i32),
			function("fetch_add_fields", i32, fetchAddFields, i32, i32, i32),
			function("fetch_write", i32, fetchWrite, i32, i32, i32),
			function("fetch_send", i32, fetchSend, i32),
			function("fetch_fields", i64, fetchFields, i32, i32, i32, i32),
			function("fetch_header_names", i64, fetchHeaderNames, i32, i32, i32, i32),
			function("fetch_header_values", i64, fetchHeaderValues, i32, i32, i32, i32, i32, i32),
			function("fetch_read", i64, fetchRead, i32, i32, i32),
			function("fetch_close", i32, fetchClose, i32),
		}, keyValueFuncs()...),
	}
}

// function returns a function of the module.
func function(name string, result engine.ValueType, call func(*engine.Instance, *State, []uint64) int64, params ...engine.ValueType) engine.HostFunc {
	return engine.HostFunc{
		Name:    name,
		Params:  params,
		Results: []engine.ValueType{result},
		Call: func(in *engine.Instance, p []uint64) {
			v := call(in, state(in), p)
			if p[0] = uint64(v); result == i32 {
				p[0] = uint64(uint32(int32(v)))
			}
		},
	}
}

// maxTextBytes is the largest method, URI, name or value accepted from a guest.
const maxTextBytes = abi.MaxHeaderBytes

// texts reads two strings from the guest's memory; p holds the
// address and length of each. ok is false if one is too long.
func texts(in *engine.Instance, p []uint64) (first, second string, ok bool) {
	if uint32(p[1]) > maxTextBytes || uint32(p[3]) > maxTextBytes {
		return "", "", false
	}
	return string(view(in, p[0], p[1])), string(view(in, p[2], p[3])), true
}

// view returns guest memory. The address of an empty range is not checked.
func view(in *engine.Instance, at, length uint64) []byte {
	if uint32(length) == 0 {
		return nil
	}
	return in.View(uint32(at), uint32(length))
}

// put writes s if it fits, and returns its length.
func put(in *engine.Instance, s string, buf, limit uint64) int64 {
	if len(s) <= int(uint32(limit)) {
		copy(view(in, buf, uint64(len(s))), s)
	}
	if len(s) >= abi.CostlyBytes {
		in.Check()
	}
	return int64(len(s))
}

// putAll writes NUL-terminated strings if all of them fit, and returns count << 32 | length.
func putAll(in *engine.Instance, list []string, buf, limit uint64) int64 {
	all := ""
	if len(list) > 0 {
		all = strings.Join(list, "\x00") + "\x00"
	}
	return int64(len(list))<<32 | put(in, all, buf, limit)
}

func prefix(in *engine.Instance, s *State, p []uint64) int64 {
	if s.current == nil {
		return 0
	}
	return put(in, s.current.Prefix, p[0], p[1])
}

func rest(in *engine.Instance, s *State, p []uint64) int64 {
	if s.current == nil {
		return 0
	}
	r := s.current.Rest
	if r == "" {
		r = "/"
	}
	return put(in, r, p[0], p[1])
}

func configGet(in *engine.Instance, s *State, p []uint64) int64 {
	if uint32(p[1]) > maxTextBytes {
		return -1
	}
	value, ok := s.settings.Get(string(view(in, p[0], p[1])))
	if !ok {
		return -1
	}
	return put(in, value, p[2], p[3])
}

func fetchOpen(in *engine.Instance, s *State, p []uint64) int64 {
	method, uri, ok := texts(in, p)
	if !ok {
		return int64(abi.OutboundInvalid)
	}
	if s.current == nil {
		return s.fail(&abi.OutboundError{Code: abi.OutboundUnavailable, Reason: "there is no request while the service initialises"})
	}
	if s.current.Outbound == nil {
		return s.fail(&abi.OutboundError{Code: abi.OutboundForbidden, Reason: "the service may not call anything: deploy it with allow"})
	}
	c, err := s.current.Outbound.Open(in.Context(), method, uri)
	if err != nil {
		return s.fail(err)
	}
	return int64(s.open(c))
}

func fetchHeader(in *engine.Instance, s *State, p []uint64) int64 {
	name, value, short := texts(in, p[1:])
	c := s.call(p[0], false)
	if c == nil || c.written {
		return int64(abi.OutboundBadState)
	}
	if !short {
		return int64(abi.OutboundInvalid)
	}
	return s.addField(c, name, value)
}

func fetchWrite(in *engine.Instance, s *State, p []uint64) int64 {
	piece := view(in, p[1], p[2])
	c := s.call(p[0], false)
	if c == nil {
		return int64(abi.OutboundBadState)
	}
	c.written = true
	in.PauseFor(nil)
	err := c.Write(piece)
	in.Resume()
	if err != nil {
		return s.fail(err)
	}
	return 0
}

func fetchSend(in *engine.Instance, s *State, p []uint64) int64 {
	c := s.call(p[0], false)
	if c == nil {
		return int64(abi.OutboundBadState)
	}
	in.PauseFor(nil)
	status, err := c.Send()
	in.Resume()
	if err != nil {
		return s.fail(err)
	}
	c.answered = true
	return int64(status)
}

// Kinds of response header.
const (
	kindHeader  = 1
	kindTrailer = 3
)

func (c *call) header(kind uint64) abi.Header {
	switch uint32(kind) {
	case kindHeader:
		return c.Header()
	case kindTrailer:
		return c.Trailer()
	}
	return nil
}

func fetchHeaderNames(in *engine.Instance, s *State, p []uint64) int64 {
	c := s.call(p[0], true)
	if c == nil {
		return int64(abi.OutboundBadState)
	}
	var names []string
	for name := range c.header(p[1]) {
		names = append(names, strings.ToLower(name))
	}
	slices.Sort(names)
	in.Check()
	return putAll(in, names, p[2], p[3])
}

func fetchHeaderValues(in *engine.Instance, s *State, p []uint64) int64 {
	if uint32(p[3]) > maxTextBytes {
		return int64(abi.OutboundInvalid)
	}
	name, _ := abi.CanonicalName(string(view(in, p[2], p[3])))
	c := s.call(p[0], true)
	if c == nil {
		return int64(abi.OutboundBadState)
	}
	return putAll(in, c.header(p[1])[name], p[4], p[5])
}

func fetchRead(in *engine.Instance, s *State, p []uint64) int64 {
	buf := view(in, p[1], p[2])
	c := s.call(p[0], true)
	if c == nil || len(buf) == 0 {
		return int64(abi.OutboundBadState)
	}
	in.PauseFor(buf)
	n, err := c.Read(buf)
	for n == 0 && err == nil {
		n, err = c.Read(buf)
	}
	in.Resume()
	switch {
	case errors.Is(err, io.EOF):
		return 1<<32 | int64(n)
	case err != nil && n == 0:
		return s.fail(err)
	}
	return int64(n)
}

func fetchClose(_ *engine.Instance, s *State, p []uint64) int64 {
	handle := int32(uint32(p[0]))
	c := s.calls[handle]
	if c == nil {
		return int64(abi.OutboundBadState)
	}
	delete(s.calls, handle)
	_ = c.Close() // the guest discards the rest, so an error does not matter
	return 0
}
