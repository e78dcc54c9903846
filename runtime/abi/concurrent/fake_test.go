package concurrent

import (
	"errors"
	"strings"
	"testing"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// memory is a guest's linear memory.
type memory []byte

func (m memory) View(offset, length uint32) []byte {
	if uint64(offset)+uint64(length) > uint64(len(m)) {
		panic(engine.Fault{Reason: "outside of memory"})
	}
	return m[offset : offset+length : offset+length]
}

var (
	bytesType = Type{Elem: "u8", Size: 1, Align: 1, Plain: true}
	unitType  = Type{Align: 1, Plain: true}
	ownType   = Type{Elem: "own", Size: 4, Align: 4}
	intFuture = Type{Future: true, Elem: "u32", Size: 4, Align: 4, Plain: true}
	ownFuture = Type{Future: true, Elem: "own", Size: 4, Align: 4}
)

var errTime = errors.New("the time is over")

// newState returns a State with a page of memory. Waiting fails.
func newState() (*State, memory) {
	s, m := &State{}, make(memory, engine.PageBytes)
	s.Begin(m, func([]<-chan struct{}) error { return errTime })
	return s, m
}

// ends returns the ends of a new stream or future.
func ends(s *State, t Type) (readable, writable uint32) {
	both := s.New(t)
	return uint32(both), uint32(both >> 32)
}

// trapOf returns the reason of the trap that f ends in, or "".
func trapOf(f func()) (reason string) {
	defer func() {
		if r := recover(); r != nil {
			reason = r.(engine.Fault).Reason
		}
	}()
	f()
	return ""
}

func wantTrap(t *testing.T, want string, f func()) {
	t.Helper()
	if got := trapOf(f); !strings.Contains(got, want) || got == "" {
		t.Errorf("the trap is %q, want one that contains %q", got, want)
	}
}

func want(t *testing.T, what string, got, want uint32) {
	t.Helper()
	if got != want {
		t.Errorf("%s = %#x, want %#x", what, got, want)
	}
}

// host is a Peer and an Operation whose progress the test decides.
type host struct {
	gate    chan struct{}
	allowed uint32 // elements until it has to wait
	last    bool   // it is done after these
	data    []byte // what it has read, or what it writes
	writes  bool
	dropped int
	over    bool
}

func newHost(writes bool) *host { return &host{gate: make(chan struct{}), writes: writes} }

// allow lets n more elements pass.
func (h *host) allow(n uint32, last bool) {
	h.allowed += n
	h.last = h.last || last
	if !closed(h.gate) {
		close(h.gate)
	}
}

func (h *host) Copy(p []byte, n uint32) (uint32, bool) {
	size := uint32(0)
	if n > 0 {
		size = uint32(len(p)) / n
	}
	n = min(n, h.allowed)
	h.allowed -= n
	if h.writes {
		copy(p, h.data[:n*size])
		h.data = h.data[n*size:]
	} else {
		h.data = append(h.data, p[:n*size]...)
	}
	over := h.last && h.allowed == 0
	if h.allowed == 0 && !h.last {
		h.gate = make(chan struct{})
	}
	return n, over
}

func (h *host) Ready() <-chan struct{} { return h.gate }
func (h *host) Drop()                  { h.dropped++ }
func (h *host) Poll() bool             { return h.over }
func (h *host) Cancel()                { h.dropped++ }
