package wasicloud

import (
	"errors"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/engine"
)

const (
	i32 = engine.I32
	i64 = engine.I64

	none engine.ValueType = 0 // the result of a function that returns nothing, or by its last parameter
)

// maxKeyBytes is the longest string accepted for a name, key, cursor or metadata. The stores have lower limits.
const maxKeyBytes = 64 << 10

// State is the state of an instance. It is a canonical.State's Cloud.
type State struct {
	*canonical.State // immutable

	settings abi.Settings    // immutable
	current  *abi.Invocation // nil between invocations
	log      abi.Lines
	cursors  []string // of lists whose cursors are numbers; each is the cursor with its number less 1
	held     int      // bytes of the values of compare-and-swaps
}

// Bind sets up the state of a new instance.
func Bind(c *canonical.State, env *abi.Environment) *State {
	s := &State{State: c, settings: env.Settings}
	s.log.Reset(env.Log, abi.LevelInfo)
	c.Cloud = s
	return s
}

// Begin starts an invocation.
func (s *State) Begin(i *abi.Invocation) {
	s.current = i
	s.log.Reset(i.Log, abi.LevelInfo)
}

// End ends the invocation. Its handles are the canonical.State's.
func (s *State) End() {
	s.current, s.cursors = nil, nil
	s.log.Reset(nil, abi.LevelInfo)
}

// define returns a host function.
func define(name string, result engine.ValueType, call func(s *State, p []uint64), params ...engine.ValueType) engine.HostFunc {
	return canonical.Func(name, result, func(c *canonical.State, p []uint64) { call(c.Cloud.(*State), p) }, params...)
}

// HostModules returns the functions of all interfaces. Every instance whose module imports one of them needs a *State as the
// Cloud of its canonical.State.
func HostModules() []engine.HostModule {
	all := append(keyValueModules(), configModules()...)
	return append(all, append(loggingModules(), vespoModule())...)
}

// text reads a string of the guest.
func (s *State) text(at, length uint64) string {
	text, ok := s.Text(at, length, maxKeyBytes)
	if !ok {
		canonical.Trap("a name, key, cursor or metadata of the guest is longer than %d bytes", maxKeyBytes)
	}
	return text
}

// optionText reads an option<string> whose parameters p begins with. None is "".
func (s *State) optionText(p []uint64) string {
	if canonical.Case(p[0], 2) == 0 {
		return ""
	}
	return s.text(p[1], p[2])
}

// keyValue returns the stores of the invocation.
func (s *State) keyValue() (abi.KeyValue, error) {
	switch {
	case s.current == nil:
		return nil, &abi.KeyValueError{Code: abi.KeyValueUnavailable, Reason: "there is no request while the guest initialises"}
	case s.current.KeyValue == nil:
		return nil, &abi.KeyValueError{Code: abi.KeyValueNoStore, Reason: "the service has no key-value stores: deploy it with kv"}
	}
	return s.current.KeyValue, nil
}

// get reads a key. Reads do not wait.
func (s *State) get(store, key string) (e abi.KeyValueEntry, found bool, failed *abi.KeyValueError) {
	kv, err := s.keyValue()
	if err == nil {
		e, err = kv.Get(s.In.Context(), store, key)
		s.In.Check()
	}
	if failed = s.failure(err); failed != nil && failed.Code == abi.KeyValueNotFound {
		return e, false, nil
	}
	return e, failed == nil, failed
}

// write makes changes. The guest does not run meanwhile.
func (s *State) write(store string, changes ...abi.KeyValueChange) ([]abi.KeyValueResult, *abi.KeyValueError) {
	kv, err := s.keyValue()
	var results []abi.KeyValueResult
	if err == nil {
		s.In.PauseFor(nil)
		results, err = kv.Write(s.In.Context(), store, changes)
		s.In.Resume()
	}
	return results, s.failure(err)
}

// list returns a page.
func (s *State) list(store, prefix, cursor string, limit int) (page abi.KeyValuePage, failed *abi.KeyValueError) {
	kv, err := s.keyValue()
	if err == nil {
		page, err = kv.List(s.In.Context(), store, prefix, cursor, limit)
		s.In.Check()
	}
	return page, s.failure(err)
}

// failure returns the error with its code, and logs it unless it is routine.
func (s *State) failure(err error) *abi.KeyValueError {
	if err == nil {
		return nil
	}
	var failed *abi.KeyValueError
	if !errors.As(err, &failed) {
		failed = &abi.KeyValueError{Code: abi.KeyValueUnavailable, Reason: err.Error()}
	}
	if !failed.Routine() {
		s.log.Line(abi.LevelWarn, []byte(failed.Error()))
	}
	return failed
}

// messageOf returns what the guest learns. The reason is for the service's log alone.
func messageOf(e *abi.KeyValueError) string {
	switch e.Code {
	case abi.KeyValueInvalid:
		return "invalid key, metadata, lifetime, limit or cursor"
	case abi.KeyValueNoStore:
		return "the service has no such store"
	case abi.KeyValueTooMany:
		return "too many operations or bytes in this request"
	case abi.KeyValueConflict:
		return "the key has another version"
	case abi.KeyValueTooLarge:
		return "the key, the value or the metadata is too large"
	case abi.KeyValueDeadline:
		return "out of time"
	case abi.KeyValueFull:
		return "the store is full"
	case abi.KeyValueNotNumber:
		return "the value is not a number, or the sum is too large"
	}
	return "the store is unavailable"
}
