package extension

import (
	"errors"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// State is the extension's state of an instance. It is an engine.Instance's Extension.
type State struct {
	settings abi.Settings    // the same for all invocations
	current  *abi.Invocation // nil between invocations
	exchange *abi.Exchange   // that current belongs to; nil if it is an event
	log      abi.Lines       // reasons of failures, within the log limits of guests
	calls    map[int32]*call
	last     int32 // last handle of this invocation
	held     results
}

// Use sets the state that all instances of a service share.
func (s *State) Use(env *abi.Environment) { s.settings = env.Settings }

// Begin starts an invocation.
func (s *State) Begin(i *abi.Invocation) {
	s.current, s.last = i, 0
	s.log.Reset(i.Log, abi.LevelWarn)
}

// BeginExchange starts the invocation of a request.
func (s *State) BeginExchange(x *abi.Exchange) {
	s.Begin(&x.Invocation)
	s.exchange = x
}

// End closes the calls that the guest left open.
func (s *State) End() {
	for handle, c := range s.calls {
		_ = c.Close() // the guest has ended, so the error has no reader
		delete(s.calls, handle)
	}
	s.current, s.exchange, s.held = nil, nil, results{}
	s.log.Reset(nil, abi.LevelWarn)
}

// call is an outbound call and its progress.
type call struct {
	abi.OutboundCall
	listed   int  // bytes of lists of fields. A field that was added holds its whole list, also one that was refused behind it
	written  bool // a piece of the body was sent: header fields are refused
	answered bool
}

func state(in *engine.Instance) *State { return in.Extension.(*State) }

// open stores a call under a new handle.
func (s *State) open(c abi.OutboundCall) int32 {
	if s.calls == nil {
		s.calls = map[int32]*call{}
	}
	s.last++
	s.calls[s.last] = &call{OutboundCall: c}
	return s.last
}

// call returns the call with this handle and state, or nil.
func (s *State) call(handle uint64, answered bool) *call {
	if c := s.calls[int32(uint32(handle))]; c != nil && c.answered == answered {
		return c
	}
	return nil
}

// fail logs the error to the service's log and returns the code for the guest.
func (s *State) fail(err error) int64 {
	var out *abi.OutboundError
	if !errors.As(err, &out) {
		out = &abi.OutboundError{Code: abi.OutboundBroken, Reason: err.Error()}
	}
	s.log.Line(abi.LevelWarn, []byte(out.Error()))
	return int64(out.Code)
}
