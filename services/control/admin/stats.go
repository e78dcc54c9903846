package admin

import "github.com/vespo-dev/vespo/services/egress/fetch"

// Stats is a snapshot of the management API.
type Stats struct {
	Fetches fetch.Stats // of modules that are given by their address
	Refused uint64      // requests beyond Config.MaxReads, MaxChanges or MaxTriggers
}

// Stats returns the current state.
func (h *Handler) Stats() Stats { return Stats{Fetches: h.fetcher.Stats(), Refused: h.refused.Load()} }
