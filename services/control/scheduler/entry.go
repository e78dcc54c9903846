package scheduler

import (
	"maps"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/schedule"
)

// service is a service with schedules. Its fields are guarded by Scheduler.mu.
type service struct {
	key        routekey.Key
	generation registry.Generation
	function   bool
	grace      time.Duration
	entries    []*entry // in the order of the service
	active     int      // runs of its schedules
}

// entry is one schedule. Its fields are guarded by Scheduler.mu, except schedule.
type entry struct {
	kept
	schedule *schedule.Schedule // immutable
	owner    *service
	seen     time.Time // as in decision; at least Handled
	next     time.Time // the first time after seen; zero: there is none
	due      time.Time // waits for its turn; zero: does not wait
	late     bool      // due was missed
	running  bool
	gone     bool // removed from its service
	failing  bool // its last run failed
}

// refresh makes the schedules those of the current catalogue. Those that stay keep what is known of them.
func (s *Scheduler) refresh(now time.Time) {
	state := s.cfg.Catalogue.State()
	if state == s.state {
		return
	}
	s.state = state
	left := schedule.MaxServer
	for _, listed := range state.Sorted() {
		known := s.services[listed.Key]
		if known == nil || known.generation != listed.Current.Generation {
			known = s.replace(known, listed, now)
		}
		if known != nil {
			s.trim(known, left)
			left -= len(known.entries)
		}
	}
	for key, known := range s.services {
		if _, listed := state.Services[key]; !listed {
			s.drop(known, known.entries)
		}
	}
	s.unsaved = s.unsaved || len(s.before) > 0
	s.before = nil
	s.waiting = slices.DeleteFunc(s.waiting, func(e *entry) bool { return e.gone })
}

// trim removes schedules beyond the limit of the server. Deploys are refused before, so this is rare.
func (s *Scheduler) trim(known *service, left int) {
	if len(known.entries) <= left {
		return
	}
	s.cfg.Log.Warn("the server has too many schedules: some are not run", "prefix", known.key, "limit", schedule.MaxServer)
	s.drop(known, known.entries[left:])
	known.entries = slices.Clip(known.entries[:left])
}

// drop removes schedules. A run that goes on is not affected.
func (s *Scheduler) drop(known *service, entries []*entry) {
	for _, e := range entries {
		e.gone, e.due = true, time.Time{}
	}
	s.unsaved = true
	if len(entries) == len(known.entries) {
		delete(s.services, known.key)
	}
}

// replace sets the schedules of a service to those of its current version. It returns nil if there are none.
func (s *Scheduler) replace(known *service, listed registry.Service, now time.Time) *service {
	set := schedule.Of(listed.Current.Manifest)
	before := make(map[string]*entry)
	if known != nil {
		for _, e := range known.entries {
			before[e.schedule.Text] = e
		}
	}
	if len(set.Schedules) == 0 {
		if known != nil {
			s.drop(known, known.entries)
		}
		return nil
	}
	if known == nil {
		known = &service{key: listed.Key}
		s.services[listed.Key] = known
	}
	known.generation, known.grace, known.function = listed.Current.Generation, set.Grace, s.isFunction(listed.Current.Kind)
	known.entries = nil
	for _, own := range set.Schedules {
		e := before[own.Text]
		if delete(before, own.Text); e == nil {
			e = s.newEntry(known, own, listed.Current.Deployed, now)
		}
		known.entries = append(known.entries, e)
	}
	for e := range maps.Values(before) {
		e.gone, e.due = true, time.Time{}
	}
	return known
}

// newEntry returns a schedule with what the last process has stored of it. A schedule that it has not stored was added
// since, at the time of its deploy.
func (s *Scheduler) newEntry(owner *service, own *schedule.Schedule, deployed, now time.Time) *entry {
	e := &entry{schedule: own, owner: owner, kept: kept{Handled: now}}
	was, ok := s.before[owner.key.String()][own.Text]
	switch {
	case ok:
		e.kept = was
		if e.Last != nil && e.Last.Outcome == OutcomeRunning {
			last := *e.Last
			last.Outcome = OutcomeInterrupted
			last.Detail = "the server ended during the run"
			e.Last = &last
			e.Failed++
		}
	case s.before != nil && deployed.Before(now):
		e.Handled = deployed.Round(0)
	}
	s.unsaved = true
	e.seen = e.Handled
	e.next = own.Next(e.seen)
	return e
}

// look decides on all schedules whose time has come, and returns the earliest next time.
func (s *Scheduler) look(now time.Time) (next time.Time) {
	for _, key := range slices.SortedFunc(maps.Keys(s.services), routekey.Key.Compare) {
		for _, e := range s.services[key].entries {
			s.lookAt(e, now)
			if !e.next.IsZero() && (next.IsZero() || e.next.Before(next)) {
				next = e.next
			}
		}
	}
	return next
}

// lookAt decides on one schedule.
func (s *Scheduler) lookAt(e *entry, now time.Time) {
	setBack := now.Before(e.seen.Add(-maxSetBack))
	if !setBack && (e.next.IsZero() || e.next.After(now)) {
		return
	}
	d := decide(e.schedule, e.seen, now, e.owner.grace)
	e.seen, e.next = d.seen, e.schedule.Next(d.seen)
	e.Missed += uint64(d.missed)
	switch {
	case setBack:
		e.Handled = d.seen
	case d.due.IsZero():
		if e.due.IsZero() {
			e.Handled = d.seen
		}
	case e.running:
		e.Handled = d.due
		e.Skipped++
	case !e.due.IsZero():
		e.due, e.late = d.due, false
		e.Skipped++
	default:
		e.due, e.late = d.due, now.Sub(d.due) > punctual
		s.waiting = append(s.waiting, e)
	}
	s.unsaved = true
}

// take removes the schedules from the waiting ones whose turn it is, and returns their runs.
func (s *Scheduler) take(now time.Time) (started []func()) {
	if s.closed {
		return nil
	}
	perService := max(1, min(maxPerService, s.cfg.Runs/2))
	s.waiting = slices.DeleteFunc(s.waiting, func(e *entry) bool {
		switch {
		case e.gone:
			return true
		case e.running || s.active == s.cfg.Runs || e.owner.active == perService:
			return false
		}
		started = append(started, s.start(e, now))
		return true
	})
	return started
}

// start begins the run of a schedule that is due. The caller calls the result on a goroutine of its own.
func (s *Scheduler) start(e *entry, now time.Time) func() {
	rec := Record{Time: e.due, Started: now, Trigger: TriggerSchedule, Outcome: OutcomeRunning}
	if e.late {
		rec.Trigger = TriggerLate
	}
	e.Handled, e.due = e.due, time.Time{}
	s.active++
	e.owner.active++
	before := e.Last
	c := s.begin(e, rec, 0)
	return func() {
		defer s.runs.Done()
		if own, err := s.claim(c); own {
			_, rec := s.serve(s.running, c, rec)
			s.end(e, rec)
		} else {
			s.leave(e, before, err)
		}
		s.mu.Lock()
		s.active--
		e.owner.active--
		s.mu.Unlock()
		s.wake()
	}
}

// claim reports whether this host may run a schedule that is due.
func (s *Scheduler) claim(c *call) (bool, error) {
	if s.cfg.Away != nil && s.cfg.Away(c.key) {
		return false, nil
	}
	if s.cfg.Claim == nil {
		return true, nil
	}
	return s.cfg.Claim(s.running, c.key.String()+" "+c.schedule.Text, c.time)
}

// leave takes begin back: another host runs the schedule, or none does, if err is not nil.
func (s *Scheduler) leave(e *entry, before *Record, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.running, e.Last = false, before
	e.Runs--
	s.unsaved = true
	if err != nil {
		e.Missed++
		s.cfg.Log.Warn("a schedule has not run, as no host may run it while it is not known whether another one does",
			"prefix", e.owner.key, "schedule", e.schedule.Text, "error", err)
	}
}

// begin marks a schedule as running. The caller calls end, and then Done of runs.
func (s *Scheduler) begin(e *entry, rec Record, keep int) *call {
	e.running, e.Last = true, &rec
	e.Runs++
	s.unsaved = true
	s.runs.Add(1)
	return &call{
		key:      e.owner.key,
		function: e.owner.function,
		schedule: e.schedule,
		time:     rec.Time,
		keep:     keep,
	}
}

// end records the end of a run. Of consecutive failures, the first is logged: the access log has all.
func (s *Scheduler) end(e *entry, rec Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	failed := rec.Outcome != OutcomeOK
	if failed {
		e.Failed++
	}
	e.running, e.Last = false, &rec
	s.unsaved = true
	switch {
	case failed && !e.failing:
		s.cfg.Log.Warn("a schedule has failed", "prefix", e.owner.key, "schedule", e.schedule.Text, "status", rec.Status, "reason", rec.Detail, "request_id", rec.RequestID)
	case !failed && e.failing:
		s.cfg.Log.Info("a schedule that had failed has run", "prefix", e.owner.key, "schedule", e.schedule.Text)
	}
	e.failing = failed
}
