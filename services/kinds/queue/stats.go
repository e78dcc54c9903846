package queue

import "github.com/vespo-dev/vespo/services/internal/budget"

// Stats is a snapshot of all queues together.
type Stats struct {
	Queues  int // prefixes with a queue
	Waiting int // requests that no worker holds
	Leased  int // requests that a worker holds
	// LeasedHere is the part of Leased that is not in an engine: the requests are in memory or on disk of this host.
	LeasedHere int

	Workers int // that wait for a request

	Requests budget.Stats // memory of requests
	Replies  budget.Stats // memory of answers that are not sent yet

	Stored      int   // requests on disk or in the engine, including ended ones whose result is kept
	StoredBytes int64 // their size
	Damaged     int   // stored requests that were set aside
	Away        bool  // the engine that has them could not be used at the last attempt
	Broken      bool  // the file of stored requests was found damaged while in use
}

// Stats returns the current state.
func (k *Kind) Stats() Stats {
	s := Stats{Requests: k.requests.Stats(), Replies: k.replies.Stats()}
	for _, l := range k.all() {
		line := l.stats()
		s.Queues++
		s.Waiting += line.waiting
		s.Leased += line.leased
		s.Workers += line.workers
	}
	s.LeasedHere = s.Leased
	if k.cfg.Shared != nil {
		all, away := k.cfg.Shared.Totals()
		s.Waiting, s.Leased, s.Stored, s.StoredBytes, s.Away = s.Waiting+all.Waiting, s.Leased+all.Leased, all.Stored, all.Bytes, away
	}
	k.mu.Lock()
	store := k.store
	k.mu.Unlock()
	if store != nil {
		stored := store.Stats()
		s.Stored, s.StoredBytes, s.Damaged, s.Broken = stored.Requests, stored.Bytes, stored.Damaged, stored.Broken
	}
	return s
}
