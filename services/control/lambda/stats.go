package lambda

import "github.com/vespo-dev/vespo/services/internal/budget"

// Stats is a snapshot of the Lambda API.
type Stats struct {
	Events     int          // accepted and not done yet: queued, in progress or waiting for a retry
	MaxEvents  int          // Config.Events
	EventBytes budget.Stats // payloads of these events
	Held       budget.Stats // payloads and outputs of invocations in progress
}

// Stats returns the current state.
func (h *Handler) Stats() Stats {
	return Stats{
		Events:     len(h.events.places),
		MaxEvents:  cap(h.events.places),
		EventBytes: h.events.bytes.Stats(),
		Held:       h.budget.Stats(),
	}
}
