package function

import "github.com/vespo-dev/vespo/services/internal/budget"

// Stats is a snapshot of the functions whose workers are started outside of the server, and of
// the memory that the invocations of all functions hold.
type Stats struct {
	Endpoints int          // open Runtime APIs
	Waiting   int          // idle workers
	Busy      int          // events in progress
	Queued    int          // events without a worker
	Held      budget.Stats // payloads and outputs
}

// Stats returns the current state.
func (k *Kind) Stats() Stats {
	s := Stats{Held: k.budget.Stats()}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, endpoints := range k.endpoints {
		for _, e := range endpoints {
			one := e.Stats()
			s.Endpoints++
			s.Waiting += one.Waiting
			s.Busy += one.Busy
			s.Queued += one.Queued
		}
	}
	return s
}
