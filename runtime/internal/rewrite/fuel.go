package rewrite

// Fuel is taken at loop headers, at function entries and wherever a way through a function gets longer than gapCost since
// it last took some. All of it is charged to the fuel global; only the yield function fills it.
//
// How much is taken follows the code that the check is for. Were it the same for all, a guest could earn the fuel of a tight loop and
// spend it on code that takes a thousand times as long. So a check takes units for the longest way that is seen in its loop,
// or in its function, between two checks; the number is known when that ends, and put in then.

// walk adds an instruction to the current way.
func (b *bodyWriter) walk(in *instr) {
	cost := b.w.m.cost(in)
	if !b.dead && b.path+cost > gapCost {
		b.flush(in.at)
		b.checkFuel(units(gapCost))
	}
	if b.path += cost; !b.dead {
		b.peak = max(b.peak, b.path)
	}
}

// MinRefill is the least that the yield function may give: what one check takes at most. A loop takes it again after a refill.
const MinRefill = 1 + gapCost/unitCost

// units is the fuel for a way of this cost.
func units(cost int) int64 { return 1 + int64(min(cost, gapCost)/unitCost) }

// A blank is where the number of units of a check is put in later; 0 for none.
type blank int

// fillIn puts in the units for a way of this cost, unless there are more already.
func (b *bodyWriter) fillIn(at blank, cost int) {
	if at != 0 {
		b.out[at] = max(b.out[at], byte(units(cost)))
	}
}

// takeFuel takes units of fuel and leaves what remains on the operand stack. If it is one, there is a blank for more.
func (b *bodyWriter) takeFuel(units int64) (at blank) {
	c, fuel := &b.out, b.w.fuel
	c.globalGet(fuel)
	c.i64(units)
	at = blank(len(*c) - 1)
	c.op(opI64Sub)
	c.globalSet(fuel)
	c.globalGet(fuel)
	return at
}

// checkFuel takes units of fuel and asks for more if none is left.
func (b *bodyWriter) checkFuel(units int64) (at blank) {
	at = b.takeFuel(units)
	b.ifNegative()
	b.out.call(b.w.refuel)
	b.out.op(opEnd)
	b.path = 0
	return at
}

// tableUnits is the fuel for an instruction that can touch all elements of a table.
func (w *writer) tableUnits() int64 {
	return 1 + int64(w.o.MaxTableElements)*8/bulkUnitBytes
}
