package admin

import (
	"context"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services/control/fields"
	"github.com/vespo-dev/vespo/services/control/scheduler"
	"github.com/vespo-dev/vespo/services/schema"
)

// Schedules runs the schedules of services; *scheduler.Scheduler implements it.
type Schedules interface {
	Status(routekey.Key) []scheduler.Status
	// Trigger runs the schedule with the text or the number, from 1, and waits for its end. If there is one, it may be
	// empty.
	Trigger(ctx context.Context, key routekey.Key, which string) (scheduler.Answer, error)
}

// scheduleView is the JSON form of a schedule.
type scheduleView struct {
	Schedule string    `json:"schedule"`
	Next     time.Time `json:"next,omitzero"`
	State    string    `json:"state"`
	scheduler.Counts
	Last *runView `json:"last,omitempty"`
}

// The states of a schedule.
const (
	scheduleIdle    = "idle"
	scheduleWaiting = "waiting"
	scheduleRunning = "running"
)

// runView is the JSON form of a run.
type runView struct {
	scheduler.Record
	Duration string `json:"duration,omitempty"`
}

// triggerView is the answer to trigger.
type triggerView struct {
	Prefix   string `json:"prefix"`
	Match    string `json:"match,omitempty"`
	Schedule string `json:"schedule"`
	runView
	Header    http.Header `json:"header,omitempty"`
	Body      string      `json:"body"`
	Bytes     []byte      `json:"body_base64,omitempty"` // in place of a body that is not UTF-8
	Truncated bool        `json:"truncated,omitempty"`
}

func runViewOf(rec scheduler.Record) runView {
	rec.Time, rec.Started, rec.Ended = rec.Time.UTC(), rec.Started.UTC(), rec.Ended.UTC()
	v := runView{Record: rec}
	if !rec.Ended.IsZero() {
		v.Duration = max(0, rec.Ended.Sub(rec.Started)).Round(time.Microsecond).String()
	}
	return v
}

// schedulesOf returns the views of a service's schedules.
func (h *Handler) schedulesOf(key routekey.Key) (views []scheduleView) {
	s := h.schedules.Load()
	if s == nil {
		return nil
	}
	for _, status := range s.Status(key) {
		v := scheduleView{
			Schedule: status.Schedule.Text,
			Next:     status.Next.UTC(),
			State:    scheduleIdle,
			Counts:   status.Counts,
		}
		switch {
		case status.Running:
			v.State = scheduleRunning
		case status.Waiting:
			v.State = scheduleWaiting
		}
		if status.Last != nil {
			last := runViewOf(*status.Last)
			v.Last = &last
		}
		views = append(views, v)
	}
	return views
}

// trigger runs a schedule of a service now, and answers with what the service has answered.
func (h *Handler) trigger(w http.ResponseWriter, r *http.Request) error {
	if _, err := h.deployer(); err != nil {
		return err
	}
	f := bodilessFields(r, append(fields.KeyFields(), schema.Field{Name: fieldSchedule, Type: schema.Text})...)
	key := f.Key()
	if err := f.Err(); err != nil {
		return err
	}
	s := h.schedules.Load()
	if s == nil {
		return notReady()
	}
	client.ConnOf(w).Unhurried()
	var a scheduler.Answer
	err := h.audited(r, key.String(), func() (err error) {
		a, err = s.Trigger(r.Context(), key, f.Text(fieldSchedule))
		return err
	})
	if err != nil {
		return err
	}
	v := triggerView{
		Prefix:    string(key.Prefix),
		Match:     key.Match.String(),
		Schedule:  a.Schedule,
		runView:   runViewOf(a.Record),
		Header:    a.Header,
		Truncated: a.Truncated,
	}
	if body, ok := textOf(a.Body, a.Truncated); ok {
		v.Body = body
	} else {
		v.Bytes = a.Body
	}
	return h.answer(w, http.StatusOK, v)
}

// textOf returns a body as text if it is UTF-8. A truncated one may end within a character.
func textOf(body []byte, truncated bool) (string, bool) {
	if utf8.Valid(body) {
		return string(body), true
	}
	for cut := 1; truncated && cut < utf8.UTFMax && cut <= len(body); cut++ {
		whole, rest := body[:len(body)-cut], body[len(body)-cut:]
		if utf8.RuneStart(rest[0]) && !utf8.FullRune(rest) {
			return string(whole), utf8.Valid(whole)
		}
	}
	return "", false
}
