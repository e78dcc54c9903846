package rewrite

// meeting summarises the paths to the end of a block.
type meeting struct {
	ways, depths int64 // number of paths, and sum of the depths of their origins
	shallowest   int64
	bounds       int64 // of the path with the fewest
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

// phis adds the search for redundant phis at a merge. For each value, the compiler goes through all
// paths with all their values. For values that are not redundant the search ends at the second path.
func (e *estimator) phis(results, variables, ways int64, all bool) {
	n := results + variables
	if all {
		e.cost.Nanoseconds += phiTime * n * n * ways
		return
	}
	e.cost.Nanoseconds += phiTime * n * (results*ways + variables*min(ways, 3))
}

// meetings returns the number of local variables that were
// set since sets had length from, and are read later.
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
