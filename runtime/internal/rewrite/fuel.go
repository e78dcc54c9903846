package rewrite

// Fuel is taken at loop headers, at function entries, and where a path through a function would exceed
// gapCost since the last check. All of it comes from the fuel global; only the yield function refills it.
//
// The amount depends on the code that the check covers. With equal amounts, a guest could
// earn fuel in a tight loop and spend it on code that takes a thousand times as long. So
// a check takes units for the longest path between two checks in its loop or function.
// The number is known at the end of the loop or function, and is filled in then.

// walk adds an instruction to the current path.
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

// WorkUnit is the version of the unit of work: of all that determines how much fuel a guest takes. A change by which a
// module takes another amount for the same execution needs a new version; TestWorkUnit fails otherwise.
const WorkUnit = 2

// units returns the fuel for a path of this cost.
func units(cost int) int64 { return 1 + int64(min(cost, gapCost)/unitCost) }

// A blank is the offset in the code of the units of a check, to be filled in later; 0 for none.
type blank int

// fillIn sets the units for a path of this cost, unless they are already larger.
func (b *bodyWriter) fillIn(at blank, cost int) {
	if at != 0 {
		b.out[at] = max(b.out[at], byte(units(cost)))
	}
}

// refund is a blank in a loop's cold side: it returns what the check of the loop has taken, which takes it again.
type refund struct{ of, at blank }

// repay sets all refunds to what their checks take.
func (b *bodyWriter) repay() {
	for _, r := range b.refunds {
		b.out[r.at] = b.out[r.of]
	}
}

// takeFuel takes units of fuel and pushes the remainder. It returns
// a blank that can raise the units; the constant must have one byte.
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

// checkFuel takes units of fuel and refuels if none is left.
func (b *bodyWriter) checkFuel(units int64) (at blank) {
	at = b.takeFuel(units)
	b.ifNegative()
	b.out.call(b.w.refuel)
	b.out.op(opEnd)
	b.path = 0
	return at
}

// tableUnits returns the fuel for an instruction that can touch all elements of a table.
func (w *writer) tableUnits() int64 {
	return 1 + int64(w.o.MaxTableElements)*8/bulkUnitBytes
}
