package concurrent

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// FuzzEnds runs a program of operations on streams and futures beside a model: which operations trap, which events
// come, and that each byte written is read once and in order.
func FuzzEnds(f *testing.F) {
	f.Add([]byte{0, 2, 0, 9, 3, 1, 5, 8, 4, 0, 6, 0, 7, 1})
	f.Add([]byte{1, 2, 0, 1, 3, 1, 1, 8, 0, 6, 0, 6, 1})
	f.Add([]byte{9, 2, 0, 9, 11, 0, 5, 8, 10, 3, 0, 5, 12, 0})
	f.Fuzz(func(t *testing.T, program []byte) { run(t, program) })
}

// TestRandomPrograms runs longer programs than fuzzing finds quickly.
func TestRandomPrograms(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		program := make([]byte, 1500)
		for i := range program {
			program[i] = byte(r.Uint32())
		}
		run(t, program)
	}
}

const (
	slotBytes = 64 // of guest memory for an end
	maxEnds   = 6  // that are open at a time: few, so that operations meet
)

// flow is the model of a channel: how many elements have been written and read.
type flow struct {
	typ           Type
	written, read uint32
	hostWrites    *host
	hostReads     *host
}

// modelEnd is the model of an end.
type modelEnd struct {
	i        uint32
	flow     *flow
	writable bool
	state    copyState
	dropped  bool
}

type model struct {
	t   *testing.T
	s   *State
	m   memory
	set uint32
	// ends are those that the guest has, hosts all that it has ever met.
	ends  []*modelEnd
	hosts []*host
}

func run(t *testing.T, program []byte) {
	s, m := newState()
	d := &model{t: t, s: s, m: m, set: s.NewSet()}
	next := func() (b byte) {
		if len(program) > 0 {
			b, program = program[0], program[1:]
		}
		return b
	}
	for len(program) > 0 {
		op := next() % 13
		if opens := op == 0 || op == 1 || op == 9; opens && len(d.ends) > maxEnds-2 {
			continue
		}
		d.step(op, next)
		d.ends = slices.DeleteFunc(d.ends, func(e *modelEnd) bool { return e.dropped })
		if n := s.Handles(); n != 1+len(d.ends) {
			t.Fatalf("%d handles, want %d", n, 1+len(d.ends))
		}
	}
	s.End()
	for _, h := range d.hosts {
		if h.dropped > 1 {
			t.Fatalf("the host was told of %d drops", h.dropped)
		}
	}
}

// step runs one operation. Its operands come from next.
func (d *model) step(op byte, next func() byte) {
	switch op {
	case 0:
		d.open(bytesType)
	case 1:
		d.open(intFuture)
	case 9:
		h := newHost(true)
		d.hosts = append(d.hosts, h)
		fl := &flow{typ: bytesType, hostWrites: h}
		for i := range 1 << 12 {
			h.data = append(h.data, sequence(uint32(i)))
		}
		d.ends = append(d.ends, &modelEnd{i: d.s.NewReadable(bytesType, h), flow: fl})
	case 7:
		d.deliver()
	default:
		if len(d.ends) > 0 {
			d.onEnd(op, d.ends[int(next())%len(d.ends)], next)
		}
	}
}

func (d *model) open(typ Type) {
	r, w := ends(d.s, typ)
	fl := &flow{typ: typ}
	d.ends = append(d.ends, &modelEnd{i: r, flow: fl}, &modelEnd{i: w, flow: fl, writable: true})
}

func (d *model) onEnd(op byte, e *modelEnd, next func() byte) {
	switch op {
	case 2, 3, 4:
		length := uint32(next() % 16)
		if e.flow.typ.Future {
			length = 1
		}
		d.copy(e, length)
	case 5:
		var result uint32
		d.expect(e, "cancel", e.state != copying, func() { result = d.s.Cancel(e.flow.typ, e.writable, e.i) })
		if e.state == copying {
			d.ended(e, result)
		}
	case 6:
		bad := e.state == copying || e.flow.typ.Future && e.writable && e.state != done
		d.expect(e, "drop", bad, func() { d.s.Drop(e.flow.typ, e.writable, e.i) })
		e.dropped = !bad
	case 8:
		d.s.Join(e.i, d.set)
	case 10:
		for _, h := range []*host{e.flow.hostReads, e.flow.hostWrites} {
			if h != nil && h.dropped == 0 && !h.last {
				n := next()
				h.allow(uint32(n%8)+1, n > 200)
			}
		}
	case 11:
		d.lift(e)
	case 12:
		d.s.Poll()
	}
}

// expect runs f and checks whether it traps.
func (d *model) expect(e *modelEnd, what string, bad bool, f func()) {
	d.t.Helper()
	if reason := trapOf(f); (reason != "") != bad {
		d.t.Fatalf("%s of %s %d in state %d: trap %q, want one: %t", what, e.flow.typ, e.i, e.state, reason, bad)
	}
}

func (d *model) lift(e *modelEnd) {
	if e.writable || e.flow.hostWrites != nil {
		return
	}
	var lifted *Readable
	d.expect(e, "lift", e.state != idle, func() { lifted = d.s.Lift(e.i, e.flow.typ) })
	if lifted == nil {
		return
	}
	e.dropped = true
	e.flow.hostReads = newHost(false)
	d.hosts = append(d.hosts, e.flow.hostReads)
	lifted.Attach(e.flow.hostReads)
}

func (d *model) copy(e *modelEnd, length uint32) {
	size := e.flow.typ.Size
	at := (e.i % (uint32(len(d.m)) / slotBytes)) * slotBytes
	if e.writable && e.state == idle {
		for i := range length {
			d.m[at+i*size] = sequence(e.flow.written + i)
		}
	}
	var result uint32
	d.expect(e, "copy", e.state != idle, func() { result = d.s.Copy(e.flow.typ, e.writable, true, e.i, at, length) })
	if e.state != idle {
		return
	}
	if e.state = copying; result != Blocked {
		d.ended(e, result)
	}
}

// deliver takes an event of the set.
func (d *model) deliver() {
	event := d.s.PollSet(d.set)
	if event.Code == NoEvent {
		return
	}
	for _, e := range d.ends {
		if e.i == event.P1 {
			if e.state != copying {
				d.t.Fatalf("%v is an event of an end in state %d", event, e.state)
			}
			d.ended(e, event.P2)
			return
		}
	}
	d.t.Fatalf("%v is an event of no end", event)
}

// ended records the result of a copy, and checks the elements.
func (d *model) ended(e *modelEnd, result uint32) {
	code, n := copyResult(result&15), result>>4
	if e.flow.typ.Future && code == completed {
		n = 1
	}
	e.state = idle
	if code == droppedResult || e.flow.typ.Future && code == completed {
		e.state = done
	}
	if e.writable {
		e.flow.written += n
	} else {
		at := (e.i % (uint32(len(d.m)) / slotBytes)) * slotBytes
		for i := range n {
			if got := d.m[at+i*e.flow.typ.Size]; got != sequence(e.flow.read+i) {
				d.t.Fatalf("element %d of %s is %d", e.flow.read+i, e.flow.typ, got)
			}
		}
		e.flow.read += n
	}
	d.balance(e.flow)
}

// balance checks that no element is lost or made up while no copy is under way.
func (d *model) balance(fl *flow) {
	for _, e := range d.ends {
		if e.flow == fl && e.state == copying {
			return
		}
	}
	switch {
	case fl.hostWrites != nil:
	case fl.hostReads != nil:
		if n := uint32(len(fl.hostReads.data)) / fl.typ.Size; n != fl.written-fl.read {
			d.t.Fatalf("the host has read %d elements of %d", n, fl.written-fl.read)
		}
	case fl.written != fl.read:
		d.t.Fatalf("%d elements were written and %d read", fl.written, fl.read)
	}
}

func sequence(i uint32) byte { return byte(i*31 + i>>8) }
