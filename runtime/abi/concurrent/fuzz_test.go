package concurrent

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// FuzzTask runs a program of operations of a guest and its host beside a model: which operations trap, their results,
// the events, the bytes of reads, and one end for each end of the host.
func FuzzTask(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(program(seed, 60))
	}
	f.Fuzz(func(t *testing.T, program []byte) { run(t, program) })
}

// TestRandomPrograms runs longer programs than fuzzing finds quickly.
func TestRandomPrograms(t *testing.T) {
	for seed := range uint64(400) {
		run(t, program(seed, 1500))
	}
}

func program(seed uint64, length int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	p := make([]byte, length)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

const (
	slotBytes = 64 // of guest memory for an end
	filler    = 0xee
	// Few objects are open at a time, so that operations meet.
	maxEnds   = 6
	maxOthers = 2 // of a kind
)

var types = []Type{
	bytesType, bytesType, intFuture, unitType, ownType, ownFuture,
	{Elem: "u32", Size: 4, Align: 4, Plain: true},
	{Future: true, Align: 1, Plain: true},
}

// machine runs a program.
type machine struct {
	task
	t        *testing.T
	s        *State
	m        memory
	program  []byte
	patience int // steps of the host in a call that waits
}

// operations are the steps of a program. Frequent ones are in it several times.
var operations = []func(d *machine){
	(*machine).open, (*machine).open, (*machine).openHosted, (*machine).call,
	(*machine).copy, (*machine).copy, (*machine).copy, (*machine).copy, (*machine).copy, (*machine).copySync,
	(*machine).cancel, (*machine).cancel, (*machine).drop, (*machine).drop,
	(*machine).lift, (*machine).lift, (*machine).settle, (*machine).settle,
	(*machine).join, (*machine).join, (*machine).pollSet, (*machine).pollSet, (*machine).pollSet, (*machine).waitSet,
	(*machine).changeSets, (*machine).subtask, (*machine).subtask,
	(*machine).allow, (*machine).allow, (*machine).allow, (*machine).pollAll, (*machine).misuse, (*machine).rarelyEnd,
}

func run(t *testing.T, program []byte) {
	d := &machine{t: t, s: &State{}, m: make(memory, engine.PageBytes), program: program}
	d.begin()
	for len(d.program) > 0 {
		operations[int(d.next())%len(operations)](d)
		d.check()
	}
	d.end()
}

// next returns the next byte of the program, or 0.
func (d *machine) next() (b byte) {
	if len(d.program) > 0 {
		b, d.program = d.program[0], d.program[1:]
	}
	return b
}

func (d *machine) begin() {
	d.task = task{}
	d.s.Begin(d.m, d.await)
	d.sets = append(d.sets, d.s.NewSet())
}

// await lets the host go on while the guest waits, until its patience is at an end.
func (d *machine) await(ready []<-chan struct{}) error {
	d.poll()
	if n := d.work(); len(ready) != n {
		d.t.Fatalf("the guest waits for %d things, want %d", len(ready), n)
	}
	if slices.ContainsFunc(ready, closed) {
		d.t.Fatal("the guest waits for what is ready")
	}
	if d.patience == 0 {
		return errTime
	}
	d.patience--
	d.allow()
	return nil
}

// attempt runs f, and returns the reason of its trap, or the error of waiting.
func (d *machine) attempt(f func()) (trap string, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case engine.Fault:
			trap = r.Reason
		case error:
			if err = r; !errors.Is(r, errTime) {
				panic(r)
			}
		default:
			panic(r)
		}
	}()
	f()
	return "", nil
}

// expect runs f and checks whether it traps.
func (d *machine) expect(what string, bad bool, f func()) {
	d.t.Helper()
	if trap, err := d.attempt(f); (trap != "") != bad || err != nil {
		d.t.Fatalf("%s: the trap is %q, want one: %t; the error is %v", what, trap, bad, err)
	}
}

// check compares the state to the model.
func (d *machine) check() {
	d.t.Helper()
	if n, want := d.s.Handles(), len(d.sets)+len(d.ends)+len(d.subtasks); n != want {
		d.t.Fatalf("%d handles, want %d", n, want)
	}
	if n, want := len(d.s.held), len(d.held)+d.lost; n != want {
		d.t.Fatalf("the host has %d readable ends, want %d", n, want)
	}
	if n, want := len(d.s.work), d.work(); n != want {
		d.t.Fatalf("%d things go on, want %d", n, want)
	}
	for _, h := range d.parties {
		if p := h.is; p.allowed != h.allowed || p.moved != h.moved || p.over != h.over {
			d.t.Fatalf("the host's end of a %s is %+v, want %+v", p.typ, *p, *h)
		}
	}
	for _, t := range d.subtasks {
		if t.op.cancelled != (t.state == subtaskCancelled) || t.op.over != (t.state != subtaskStarted) {
			d.t.Fatalf("an operation is %+v, its subtask has the state %d", *t.op, t.state)
		}
	}
}

// end ends the task. Most tasks exit first, and what the host has on both ends then goes on.
func (d *machine) end() {
	if d.next()%4 > 0 {
		d.s.Exit()
		d.exit()
		d.check()
		before := slices.Clone(d.m)
		for range 4 {
			d.allow()
			d.s.Poll()
			d.poll()
			d.check()
		}
		if !bytes.Equal(before, d.m) {
			d.t.Fatal("the memory of a guest has changed after it has ended")
		}
	}
	d.s.End()
	for _, h := range d.parties {
		if p := h.is; !p.over && (!p.typ.Future || p.moved == 0) {
			d.t.Fatalf("the host's end of a %s is not told of the end of the task", p.typ)
		}
	}
	for _, o := range d.errands {
		if !o.over {
			d.t.Fatal("an operation goes on after the task")
		}
	}
	for _, h := range d.held { // handles of resources are dropped after the task
		h.is.Drop()
	}
	if n := d.s.Handles() + len(d.s.work) + len(d.s.held); n != 0 {
		d.t.Fatalf("%d handles, work and streams are left", n)
	}
}

func (d *machine) restart() {
	d.end()
	d.begin()
}

func (d *machine) rarelyEnd() {
	if d.next()%16 == 0 {
		d.restart()
	}
}

func (d *machine) pollAll() {
	d.s.Poll()
	d.poll()
}
