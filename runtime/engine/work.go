package engine

import "github.com/vespo-dev/vespo/runtime/internal/rewrite"

// WorkUnit is the version of the unit of work. Counts of different versions cannot be compared.
const WorkUnit = rewrite.WorkUnit

// Work returns the work of the current or last request, in units: what the guest has taken of its fuel since the reset.
// An instance that is not reset includes its initialisation. The same execution is the same work: it depends neither on
// the refills nor on the time that they take, as the fuel that is left does not count.
func (in *Instance) Work() int64 { return in.run.work + in.run.given - int64(in.fuel.Get()) }

// ration makes the work limit of the module apply to the current call.
func (in *Instance) ration() {
	r := &in.run
	if r.workLimit = in.module.opts.WorkLimit; r.workLimit <= 0 {
		return
	}
	r.work = in.Work()
	r.given = in.rationed(firstSliceFuel)
	in.fuel.Set(uint64(r.given))
}

// rationed returns the part of a refill that the work limit allows. So the guest yields at the first check beyond the
// limit, for any sequence of slices.
func (in *Instance) rationed(fuel int64) int64 {
	if limit := in.run.workLimit; limit > 0 {
		return max(0, min(fuel, limit-in.run.work))
	}
	return fuel
}

// countWork adds what the guest has taken to its work, and ends the call if that is beyond the limit.
func (in *Instance) countWork() {
	r := &in.run
	left := int64(in.fuel.Get())
	r.work += r.given - left
	r.given = left
	if r.workLimit > 0 && r.work > r.workLimit {
		panic(errWorkLimit)
	}
}
