package lambda

import (
	"github.com/vespo-dev/vespo/services/events"
	"github.com/vespo-dev/vespo/services/internal/budget"
)

// Stats is a snapshot of the Lambda API.
type Stats struct {
	Events      events.Stats
	Running     int          // events in progress at this host
	Left        int          // events that end with this host: those in progress, and the stored ones unless other hosts run them, too
	DeadLetters uint64       // written since the start
	Held        budget.Stats // payloads and outputs of invocations in progress
}

// Stats returns the current state.
func (h *Handler) Stats() Stats {
	stored, running := h.cfg.Events.Stats(), int(h.backlog.running.Load())
	left := running
	if !h.cfg.Shared {
		left = stored.Events
	}
	return Stats{
		Events:      stored,
		Running:     running,
		Left:        left,
		DeadLetters: h.backlog.buried.Load(),
		Held:        h.budget.Stats(),
	}
}
