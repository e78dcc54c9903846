package scheduler

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
)

// Answer is what a service has answered to a run of a user.
type Answer struct {
	Schedule string // its text
	Record
	Header    http.Header // nil if there is no response
	Body      []byte      // its beginning
	Truncated bool        // the body is longer
}

// Status returns the schedules of a service, in its order; nil if it has none.
func (s *Scheduler) Status(key routekey.Key) (all []Status) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh(now)
	service := s.services[key]
	if service == nil {
		return nil
	}
	for _, e := range service.entries {
		next := e.next
		if !next.After(now) { // Run has not looked at it yet
			next = e.schedule.Next(now)
		}
		all = append(all, Status{
			Schedule: e.schedule,
			Next:     next,
			Running:  e.running,
			Waiting:  !e.due.IsZero(),
			Counts:   e.Counts,
			Last:     e.Last, // replaced as a whole
		})
	}
	return all
}

// Trigger runs a schedule of a service now, and waits for the end. which is its text or its number, from 1; it may be
// empty if the service has one schedule. The run goes on if ctx ends. It does not count for Config.Runs, and the times
// of the schedule stay as they are.
func (s *Scheduler) Trigger(ctx context.Context, key routekey.Key, which string) (Answer, error) {
	s.mu.Lock()
	e, err := s.find(key, which)
	if err != nil {
		s.mu.Unlock()
		return Answer{}, err
	}
	now := s.now()
	rec := Record{Time: now, Started: now, Trigger: TriggerManual, Outcome: OutcomeRunning}
	c := s.begin(e, rec, keptAnswerBytes)
	s.mu.Unlock()
	done := make(chan Answer, 1)
	go func() {
		defer s.runs.Done()
		a, rec := s.serve(s.running, c, rec)
		s.end(e, rec)
		s.wake()
		done <- Answer{Schedule: e.schedule.Text, Record: rec, Header: a.sent, Body: a.body, Truncated: a.length > int64(len(a.body))}
	}()
	select {
	case a := <-done:
		return a, nil
	case <-ctx.Done():
		return Answer{}, context.Cause(ctx)
	}
}

// find returns the schedule to trigger, which does not run.
func (s *Scheduler) find(key routekey.Key, which string) (*entry, error) {
	if s.closed {
		return nil, problem.New(problem.NotReady, "the server is shutting down")
	}
	s.refresh(s.now())
	service := s.services[key]
	if service == nil {
		if _, ok := s.state.Services[key]; !ok {
			return nil, problem.Newf(problem.NotFound, "there is no service at %s", key)
		}
		return nil, problem.Newf(problem.NotFound, "the service %s has no schedules: give it one with cron", key)
	}
	e, err := service.choose(which)
	switch {
	case err != nil:
		return nil, err
	case e.running:
		return nil, problem.Newf(problem.Conflict, "the schedule %q is running already: it has one run at a time", e.schedule.Text)
	}
	return e, nil
}

// choose returns the schedule with the text or the number.
func (s *service) choose(which string) (*entry, error) {
	if which == "" && len(s.entries) == 1 {
		return s.entries[0], nil
	}
	text := strings.Join(strings.Fields(which), " ")
	var known []string
	for i, e := range s.entries {
		if text == e.schedule.Text || which == strconv.Itoa(i+1) {
			return e, nil
		}
		known = append(known, strconv.Itoa(i+1)+", "+strconv.Quote(e.schedule.Text))
	}
	if which == "" {
		return nil, problem.Newf(problem.BadRequest, "the service has %d schedules: choose one by its number or text: %s", len(known), strings.Join(known, "; "))
	}
	return nil, problem.Newf(problem.NotFound, "the service has no schedule %.120q: choose one by its number or text: %s", which, strings.Join(known, "; "))
}
