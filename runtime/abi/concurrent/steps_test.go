package concurrent

import "slices"

// one returns one of all, by the next byte of the program.
func one[E any](d *machine, all []E) (e E, ok bool) {
	b := int(d.next())
	if len(all) == 0 {
		return e, false
	}
	return all[b%len(all)], true
}

func (d *machine) newParty(typ Type, writes bool, first uint32) *modelParty {
	h := &modelParty{is: newParty(d.t, typ, writes, first)}
	d.parties = append(d.parties, h)
	return h
}

func (d *machine) open() {
	typ := types[int(d.next())%len(types)]
	if len(d.ends) > maxEnds-2 {
		return
	}
	r, w := ends(d.s, typ)
	f := &flow{typ: typ}
	d.ends = append(d.ends, &modelEnd{modelWaitable: modelWaitable{i: r}, flow: f}, &modelEnd{modelWaitable: modelWaitable{i: w}, flow: f, writable: true})
}

// openHosted makes a stream that the host writes.
func (d *machine) openHosted() {
	b := d.next()
	typ := types[int(b)%len(types)]
	if len(d.held) == maxOthers {
		return
	}
	h := d.newParty(typ, true, 0)
	d.held = append(d.held, held{d.s.Hosted(typ, h.is), &flow{typ: typ, host: h}})
	if b >= 64 {
		d.lower(len(d.held) - 1)
	}
}

func (d *machine) lower(i int) {
	if len(d.ends) == maxEnds {
		return
	}
	h := d.held[i]
	d.held = slices.Delete(d.held, i, i+1)
	d.ends = append(d.ends, &modelEnd{modelWaitable: modelWaitable{i: d.s.Lower(h.is)}, flow: h.flow})
}

func (d *machine) lift() {
	e, ok := one(d, d.ends)
	if !ok || len(d.held) == maxOthers {
		return
	}
	var r *Readable
	d.expect("lift", e.writable || e.state != idle, func() { r = d.s.Lift(e.i, e.flow.typ) })
	if r != nil {
		d.held = append(d.held, held{r, e.flow})
		d.forgetEnd(e)
	}
}

func (d *machine) forgetEnd(e *modelEnd) {
	d.ends = slices.DeleteFunc(d.ends, func(o *modelEnd) bool { return o == e })
}

// settle lets the host read, pass back or drop a readable end that it has.
func (d *machine) settle() {
	b := d.next()
	if len(d.held) == 0 {
		return
	}
	i := int(b>>4) % len(d.held)
	h := d.held[i]
	switch b % 8 {
	case 0, 1, 2:
		d.lower(i)
	case 3:
		d.held = slices.Delete(d.held, i, i+1)
		if b < 128 { // the host loses it, as in a trap
			d.lost++
			return
		}
		h.is.Drop()
		h.flow.drop()
	default:
		if len(d.splices) == maxOthers {
			return
		}
		d.held = slices.Delete(d.held, i, i+1)
		to := d.newParty(h.flow.typ, false, h.flow.moved)
		if b%8 == 7 {
			d.allowParty(to)
		}
		h.is.Attach(to.is)
		d.attach(h.flow, to)
	}
}

// allow lets an end of the host or an operation go on.
func (d *machine) allow() {
	h, ok := one(d, slices.DeleteFunc(slices.Clone(d.parties), func(h *modelParty) bool { return h.over || h.last }))
	if ok {
		d.allowParty(h)
	}
	t, ok := one(d, d.subtasks)
	if ok && !t.finished {
		t.finished = true
		close(t.op.gate)
	}
}

func (d *machine) allowParty(h *modelParty) {
	b := d.next()
	n, last := uint32(b%8), b >= 224
	if !last {
		n++
	}
	h.allowed, h.last = h.allowed+n, last
	h.is.allow(n, last)
}

func at(i uint32) uint32 { return i * slotBytes }

// fill fills the memory of an end for a copy.
func (d *machine) fill(e *modelEnd) {
	slot := d.m[at(e.i):][:slotBytes]
	for i := range slot {
		if slot[i] = filler; e.writable {
			slot[i] = sequence(e.flow.moved*e.flow.typ.Size + uint32(i))
		}
	}
}

func (d *machine) length(e *modelEnd) uint32 {
	if n := uint32(d.next() % 16); !e.flow.typ.Future {
		return n
	}
	return 1
}

func (d *machine) copy() {
	e, ok := one(d, d.ends)
	if !ok {
		return
	}
	length, result := d.length(e), uint32(0)
	bad := e.traps()
	if !bad {
		d.fill(e)
	}
	d.expect("copy", bad, func() { result = d.s.Copy(e.flow.typ, e.writable, true, e.i, at(e.i), length) })
	if bad {
		return
	}
	switch e.begin(length); {
	case e.pending:
		d.took(e, Event{e.code(), e.i, result})
	case result != Blocked:
		d.t.Fatalf("a copy of a %s returns %#x, want to be blocked", e.flow.typ, result)
	}
}

func (e *modelEnd) code() EventCode {
	return (&end{ch: &channel{typ: e.flow.typ}, writable: e.writable}).code()
}

// took compares an event that the guest has taken to the model, and checks the bytes of a read.
func (d *machine) took(e *modelEnd, got Event) {
	d.t.Helper()
	if want := e.take(); got != want {
		d.t.Fatalf("the event of a %s is %v, want %v", e.flow.typ, got, want)
	}
	if e.writable {
		return
	}
	for i, b := range d.m[at(e.i):][:slotBytes] {
		want, size := byte(filler), e.flow.typ.Size
		if uint32(i) < e.progress*size {
			want = sequence(e.first*size + uint32(i))
		}
		if b != want {
			d.t.Fatalf("byte %d of a read of %d elements of %s is %d, want %d", i, e.progress, e.flow.typ, b, want)
		}
	}
}

// copySync waits. A task whose guest waits in vain is over.
func (d *machine) copySync() {
	e, ok := one(d, d.ends)
	if !ok || e.traps() {
		return
	}
	length, result := d.length(e), uint32(0)
	d.fill(e)
	if e.begin(length); !e.pending {
		d.patience = 3
	}
	trap, err := d.attempt(func() { result = d.s.Copy(e.flow.typ, e.writable, false, e.i, at(e.i), length) })
	d.waited(e.pending, func() bool { return e.pending }, trap, err)
	if trap == "" && err == nil {
		d.took(e, Event{e.code(), e.i, result})
	} else {
		d.restart()
	}
}

// waited checks how a wait has ended. early says that there was nothing to wait for.
func (d *machine) waited(early bool, over func() bool, trap string, err error) {
	d.t.Helper()
	if !early {
		d.poll()
	}
	switch {
	case err != nil && (over() || d.patience > 0), trap != "" && (over() || d.work() > 0), trap == "" && err == nil && !over():
		d.t.Fatalf("a wait ends with the trap %q or the error %v; it is over: %t; %d things go on", trap, err, over(), d.work())
	}
}

func (d *machine) cancel() {
	e, ok := one(d, d.ends)
	if !ok {
		return
	}
	var result uint32
	d.expect("cancel", e.state != copying, func() { result = d.s.Cancel(e.flow.typ, e.writable, e.i) })
	if e.state == copying {
		e.cancel()
		d.took(e, Event{e.code(), e.i, result})
	}
}

func (d *machine) drop() {
	e, ok := one(d, d.ends)
	if !ok {
		return
	}
	bad := e.state == copying || e.flow.typ.Future && e.writable && e.state != done
	d.expect("drop", bad, func() { d.s.Drop(e.flow.typ, e.writable, e.i) })
	if !bad {
		d.forgetEnd(e)
		e.flow.drop()
	}
}

// misuse uses an end as what it is not.
func (d *machine) misuse() {
	e, ok := one(d, d.ends)
	if !ok {
		return
	}
	other := types[int(d.next())%len(types)]
	b := d.next()
	writable := e.writable != (b < 128)
	if writable == e.writable && other == e.flow.typ {
		return
	}
	d.expect("misuse", true, func() {
		switch b % 4 {
		case 0:
			d.s.Copy(other, writable, true, e.i, 0, 0)
		case 1:
			d.s.Cancel(other, writable, e.i)
		case 2:
			d.s.Drop(other, writable, e.i)
		case 3:
			d.s.Drop(e.flow.typ, e.writable, d.sets[0])
		}
	})
}
