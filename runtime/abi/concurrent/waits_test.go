package concurrent

import "slices"

func (d *machine) changeSets() {
	b := d.next()
	if b < 128 && len(d.sets) < maxOthers {
		d.sets = append(d.sets, d.s.NewSet())
		return
	}
	set, _ := one(d, d.sets)
	all, _ := d.members(set)
	d.expect("the drop of a set", all > 0, func() { d.s.DropSet(set) })
	if all > 0 {
		return
	}
	d.sets = slices.DeleteFunc(d.sets, func(i uint32) bool { return i == set })
	if len(d.sets) == 0 {
		d.sets = append(d.sets, d.s.NewSet())
	}
}

// join moves an end or a subtask to a set, or out of its set.
func (d *machine) join() {
	var all []*modelWaitable
	for _, e := range d.ends {
		all = append(all, &e.modelWaitable)
	}
	for _, t := range d.subtasks {
		all = append(all, &t.modelWaitable)
	}
	w, ok := one(d, all)
	if !ok {
		return
	}
	set, _ := one(d, d.sets)
	switch b := d.next() % 16; {
	case b == 0:
		d.expect("a join of no set", true, func() { d.s.Join(w.i, w.i) })
		return
	case b == 1:
		d.expect("a join of a set", true, func() { d.s.Join(set, set) })
		return
	case b < 5:
		set = 0
	}
	d.s.Join(w.i, set)
	w.set = set
}

func (d *machine) pollSet() {
	set, _ := one(d, d.sets)
	event := d.s.PollSet(set)
	d.poll()
	if _, pending := d.members(set); pending == 0 && event.Code == NoEvent {
		return
	}
	d.delivered(set, event)
}

func (d *machine) waitSet() {
	set, _ := one(d, d.sets)
	_, before := d.members(set)
	d.patience = 3
	var event Event
	trap, err := d.attempt(func() {
		var err error
		if event, err = d.s.WaitSet(set, d.await); err != nil {
			panic(err)
		}
	})
	d.waited(before > 0, func() bool { _, n := d.members(set); return n > 0 }, trap, err)
	if trap == "" && err == nil {
		d.delivered(set, event)
	} else if trap != "" {
		d.restart()
	}
}

// delivered checks an event of a set.
func (d *machine) delivered(set uint32, event Event) {
	d.t.Helper()
	switch e, t := d.waitable(event.P1); {
	case e != nil && e.set == set && e.pending:
		d.took(e, event)
	case t != nil && t.set == set && t.pending:
		if want := t.take(); event != want {
			d.t.Fatalf("the event is %v, want %v", event, want)
		}
	default:
		_, pending := d.members(set)
		d.t.Fatalf("the event is %v, which is none of the %d of its set", event, pending)
	}
}

// call begins a call of a host function.
func (d *machine) call() {
	b := d.next()
	if len(d.subtasks) == maxOthers {
		return
	}
	t := &modelSubtask{op: &errand{t: d.t, gate: make(chan struct{})}, state: subtaskStarted}
	d.errands = append(d.errands, t.op)
	if b%4 == 0 {
		t.finished = true
		close(t.op.gate)
	}
	var result uint32
	if b >= 64 {
		result = d.s.Call(t.op, true)
		switch {
		case t.finished && result == uint32(subtaskReturned):
		case t.finished, result&15 != uint32(subtaskStarted):
			d.t.Fatalf("a call returns %#x, and has ended: %t", result, t.finished)
		default:
			t.i = result >> 4
			d.subtasks = append(d.subtasks, t)
		}
		return
	}
	early := t.finished
	d.patience = 3
	d.subtasks = append(d.subtasks, t)
	trap, err := d.attempt(func() { result = d.s.Call(t.op, false) })
	d.waited(early, func() bool { return early || t.pending }, trap, err)
	d.subtasks = slices.DeleteFunc(d.subtasks, func(o *modelSubtask) bool { return o == t })
	switch {
	case trap != "" || err != nil:
		d.restart()
	case result != uint32(subtaskReturned):
		d.t.Fatalf("a synchronous call returns %#x", result)
	}
}

// subtask cancels or drops a subtask.
func (d *machine) subtask() {
	t, ok := one(d, d.subtasks)
	if !ok {
		return
	}
	if d.next() < 96 {
		var result uint32
		d.expect("the cancellation of a subtask", t.delivered, func() { result = d.s.CancelSubtask(t.i) })
		if t.delivered {
			return
		}
		if !t.pending {
			t.state = subtaskCancelled
		}
		if want := t.take(); want.P2 != result {
			d.t.Fatalf("the cancellation of a subtask returns %#x, want %#x", result, want.P2)
		}
		return
	}
	d.expect("the drop of a subtask", !t.delivered, func() { d.s.DropSubtask(t.i) })
	if t.delivered {
		d.subtasks = slices.DeleteFunc(d.subtasks, func(o *modelSubtask) bool { return o == t })
	}
}
