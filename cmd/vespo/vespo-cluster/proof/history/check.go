package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// checker is a Check in progress.
type checker struct {
	*History
	found   []string
	places  map[string][]Commit // of each service; the place 0 is its absence before the first commit
	deploys map[string]Change   // by content
	made    map[int64]bool      // generations that a change accounts for
}

// Check returns the violations; none if the history is right.
func (h *History) Check() []string {
	c := &checker{History: h, places: make(map[string][]Commit), deploys: make(map[string]Change), made: make(map[int64]bool)}
	for _, x := range h.Changes {
		if x.Action == Deploy {
			c.deploys[x.Content] = x
		}
	}
	c.order()
	c.acknowledged()
	c.removals()
	c.commits()
	c.realTime()
	c.sights()
	c.events()
	return c.found
}

// events requires that each accepted event has run, and no refused one.
func (c *checker) events() {
	for _, e := range c.Events {
		switch {
		case e.Outcome == Acknowledged && e.Runs == 0:
			c.fail("the event %s was accepted and has not run", e.ID)
		case e.Outcome == Refused && e.Runs > 0:
			c.fail("the event %s was refused and has run", e.ID)
		}
	}
}

func (c *checker) fail(format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf(format, args...))
}

// order requires that generations grow.
func (c *checker) order() {
	last := int64(0)
	for _, m := range c.Commits {
		if m.Generation <= last {
			c.fail("%+v follows generation %d", m, last)
		}
		last = m.Generation
		if len(c.places[m.Service]) == 0 {
			c.places[m.Service] = []Commit{{Service: m.Service}}
		}
		c.places[m.Service] = append(c.places[m.Service], m)
	}
}

// at returns the commit of a generation.
func (c *checker) at(generation int64) (Commit, bool) {
	i, ok := slices.BinarySearchFunc(c.Commits, generation, func(m Commit, g int64) int { return cmp.Compare(m.Generation, g) })
	if !ok {
		return Commit{}, false
	}
	return c.Commits[i], true
}

// acknowledged requires the commit of each acknowledged deploy and rollback: a generation has one change.
func (c *checker) acknowledged() {
	for _, x := range c.Changes {
		if x.Outcome != Acknowledged || x.Action == Remove {
			continue
		}
		m, ok := c.at(x.Generation)
		switch {
		case !ok || m.Service != x.Service || m.Content == "" || x.Action == Deploy && m.Content != x.Content:
			c.fail("the acknowledged change %+v is lost; its generation has %+v", x, m)
		case c.made[x.Generation]:
			c.fail("%+v has the generation of another change", x)
		}
		c.made[x.Generation] = true
	}
}

// commits requires a client for each commit: one that was acknowledged, or one that does not know its outcome.
func (c *checker) commits() {
	earlier := make(map[string]map[string]bool) // contents of each service since its removal
	unsure := make(map[string]int)              // rollbacks of each service
	for _, x := range c.Changes {
		if x.Action == RollBack && x.Outcome == Unknown {
			unsure[x.Service]++
		}
	}
	for _, m := range c.Commits {
		if m.Content == "" {
			delete(earlier, m.Service)
			continue // removals
		}
		first := !earlier[m.Service][m.Content]
		if earlier[m.Service] == nil {
			earlier[m.Service] = make(map[string]bool)
		}
		earlier[m.Service][m.Content] = true
		x, known := c.deploys[m.Content]
		switch {
		case !known || x.Service != m.Service:
			c.fail("no client has deployed %+v", m)
		case x.Outcome == Refused:
			c.fail("the refused change %+v was made: %+v", x, m)
		case c.made[m.Generation], first && x.Outcome == Unknown:
		case first:
			c.fail("the acknowledged change %+v was made again: %+v", x, m)
		case unsure[m.Service] > 0:
			unsure[m.Service]--
		default:
			c.fail("no client has rolled back to %+v", m)
		}
	}
}

// removal is an acknowledged removal and the generations that its commit is between.
type removal struct {
	Change
	after, before int64
}

// removals requires a commit for each acknowledged removal, whose answer does not have its generation, and a client for
// each commit of one.
func (c *checker) removals() {
	due, unsure := make(map[string][]removal), make(map[string]int)
	for _, x := range c.Changes {
		switch {
		case x.Action != Remove:
		case x.Outcome == Acknowledged:
			due[x.Service] = append(due[x.Service], c.bounds(x))
		case x.Outcome == Unknown:
			unsure[x.Service]++
		}
	}
	for _, m := range c.Commits {
		if m.Content != "" {
			continue
		}
		best := -1 // the one that is due first
		for i, r := range due[m.Service] {
			if r.after < m.Generation && m.Generation < r.before && (best < 0 || r.before < due[m.Service][best].before) {
				best = i
			}
		}
		switch {
		case best >= 0:
			due[m.Service] = slices.Delete(due[m.Service], best, best+1)
		case unsure[m.Service] > 0:
			unsure[m.Service]--
		default:
			c.fail("no client has made the removal %+v", m)
		}
	}
	for _, all := range due {
		for _, r := range all {
			c.fail("the acknowledged removal %+v is lost: it should be between the generations %d and %d", r.Change, r.after, r.before)
		}
	}
}

// bounds returns the generations that were acknowledged before a removal began and after it ended.
func (c *checker) bounds(x Change) removal {
	r := removal{Change: x, before: math.MaxInt64}
	for _, other := range c.Changes {
		switch {
		case other.Outcome != Acknowledged || other.Generation == 0:
		case other.Ended < x.Began:
			r.after = max(r.after, other.Generation)
		case other.Began > x.Ended:
			r.before = min(r.before, other.Generation)
		}
	}
	return r
}

// realTime requires that a change which began after the answer of another one has a later generation.
func (c *checker) realTime() {
	var began []Change
	for _, x := range c.Changes {
		if x.Outcome == Acknowledged && x.Generation > 0 {
			began = append(began, x)
		}
	}
	ended := slices.Clone(began)
	slices.SortFunc(began, func(a, b Change) int { return cmp.Compare(a.Began, b.Began) })
	slices.SortFunc(ended, func(a, b Change) int { return cmp.Compare(a.Ended, b.Ended) })
	var last Change // of the latest generation that ended before
	for _, x := range began {
		for ; len(ended) > 0 && ended[0].Ended < x.Began; ended = ended[1:] {
			if ended[0].Generation > last.Generation {
				last = ended[0]
			}
		}
		if x.Generation < last.Generation {
			c.fail("%+v began after %+v had ended", x, last)
		}
	}
}
