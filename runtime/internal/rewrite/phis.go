package rewrite

// meeting is what is known of the ways to a block's end.
type meeting struct {
	ways, depths int64 // number, and sum of the depths that they come from
	shallowest   int64
	bounds       int64 // fewest
}

func (j *meeting) add(depth, bounds int64) {
	if j.ways == 0 || depth < j.shallowest {
		j.shallowest = depth
	}
	if j.ways == 0 || bounds < j.bounds {
		j.bounds = bounds
	}
	j.ways++
	j.depths += depth
}

// phis counts the search for redundant values where ways meet: for each value, all ways with all their values are gone through. Values
// that are not redundant end it at the second way.
func (e *estimator) phis(results, variables, ways int64, all bool) {
	n := results + variables
	if all {
		e.cost.Nanoseconds += phiTime * n * n * ways
		return
	}
	e.cost.Nanoseconds += phiTime * n * (results*ways + variables*min(ways, 3))
}

// meetings counts the local variables that were set since sets had a length, and are read later.
func (e *estimator) meetings(from int) (n int64) {
	e.clock++
	keep := from
	for _, local := range e.sets[from:] {
		if e.stamp[local] == e.clock {
			continue
		}
		e.stamp[local] = e.clock
		if e.live.lastRead(local) > e.at {
			e.sets[keep] = local
			keep++
			n++
		}
	}
	e.cost.Nanoseconds += int64(len(e.sets) - from)
	e.sets = e.sets[:keep]
	return n
}
