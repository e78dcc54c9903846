package rewrite

// Fuel is taken at loop headers, at function entries and wherever a way through a function gets longer than unitCost since
// it last took some. All of it is charged to the fuel global; only the yield function fills it.

// walk adds an instruction to the current way.
func (b *bodyWriter) walk(in *instr) {
	cost := b.w.m.cost(in)
	if !b.dead && b.path+cost > unitCost {
		b.flush(in.at)
		b.checkFuel(1)
	}
	b.path += cost
}

// takeFuel takes units of fuel and leaves what remains on the operand stack.
func (b *bodyWriter) takeFuel(units int64) {
	c, fuel := &b.out, b.w.fuel
	c.globalGet(fuel)
	c.i64(units)
	c.op(opI64Sub)
	c.globalSet(fuel)
	c.globalGet(fuel)
}

// checkFuel takes units of fuel and asks for more if none is left.
func (b *bodyWriter) checkFuel(units int64) {
	b.takeFuel(units)
	b.ifNegative()
	b.out.call(b.w.refuel)
	b.out.op(opEnd)
	b.path = 0
}

// tableUnits is the fuel for an instruction that can touch all elements of a table.
func (w *writer) tableUnits() int64 {
	return 1 + int64(w.o.MaxTableElements)*8/bulkUnitBytes
}
