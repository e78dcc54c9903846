package rewrite

var yieldSignature = Signature{Params: []ValueType{I32}, Results: []ValueType{I64}}

// helper is an injected function.
type helper struct {
	name string
	typ  uint32
	body []byte // local declarations and instructions
}

// addHelper injects a function and returns its index. locals
// is the number of i32 variables besides its parameters.
func (w *writer) addHelper(name string, s Signature, locals byte, body code) uint32 {
	c := code{0}
	if locals > 0 {
		c = code{1, locals, byte(I32)}
	}
	w.helpers = append(w.helpers, helper{"vespo." + name, w.typeOf(s), append(append(c, body...), opEnd)})
	return w.firstHelper + uint32(len(w.helpers)-1)
}

// addColdPaths injects the functions that failing checks call.
func (w *writer) addColdPaths() {
	var refuel code
	refuel.i32(YieldFuel)
	refuel.call(w.yield)
	refuel.globalSet(w.fuel)
	w.refuel = w.addHelper("refuel", Signature{}, 0, refuel)

	var again code // (units i64)
	again.i32(YieldFuel)
	again.call(w.yield)
	again.localGet(0)
	again.op(opI64Add)
	again.globalSet(w.fuel)
	w.again = w.addHelper("again", Signature{Params: []ValueType{I64}}, 0, again)

	var overflow code
	overflow.i32(YieldStackOverflow)
	overflow.call(w.yield)
	overflow.op(opUnreachable)
	w.overflow = w.addHelper("overflow", Signature{}, 0, overflow)

	var reenter code // (left i64)
	reenter.localGet(0)
	reenter.i64(0)
	reenter.op(opI64LtS)
	reenter.block(opIf, emptyBlock)
	reenter.call(w.overflow)
	reenter.op(opEnd)
	reenter.call(w.refuel)
	w.reenter = w.addHelper("reenter", Signature{Params: []ValueType{I64}}, 0, reenter)
}
