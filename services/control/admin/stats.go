package admin

import "github.com/vespo-dev/vespo/services/egress/fetch"

// Stats is a snapshot of the management API.
type Stats struct {
	Fetches fetch.Stats // of modules that are given by their address
	Refused uint64      // requests beyond Config.MaxReads, MaxChanges or MaxTriggers
}

// Stats returns the current state.
func (h *Handler) Stats() Stats {
	s := Stats{Fetches: h.fetcher.Stats()}
	counted := make(map[limiter]bool) // endpoints share them
	for _, e := range h.endpoints {
		if e.limiter != nil && !counted[e.limiter] {
			counted[e.limiter] = true
			s.Refused += e.limiter.refused.Load()
		}
	}
	return s
}
