package remote

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// TriggerCmd runs a schedule of a service now.
type TriggerCmd struct {
	Prefix   string `arg:"" help:"Path prefix of the service."`
	Schedule string `arg:"" optional:"" help:"The schedule, by its text or by its number as \"vespo inspect\" shows them; not needed if there is one."`

	matchFlag
	clientFlags
}

// run is a run of a schedule. Package admin documents the fields.
type run struct {
	Time      time.Time `json:"time"`
	Started   time.Time `json:"started"`
	Trigger   string    `json:"trigger"`
	Outcome   string    `json:"outcome"`
	Status    int       `json:"status"`
	Detail    string    `json:"detail"`
	Duration  string    `json:"duration"`
	RequestID string    `json:"request_id"`
}

// triggered is the answer to a trigger.
type triggered struct {
	run
	Schedule  string `json:"schedule"`
	Body      string `json:"body"`
	Bytes     []byte `json:"body_base64"`
	Truncated bool   `json:"truncated"`
}

// Run is called by kong.
func (c *TriggerCmd) Run(ctx context.Context, s stdio.Streams) error {
	client, err := c.client(boundTo(c.Prefix, c.Match))
	if err != nil {
		return err
	}
	query := c.query(c.Prefix)
	if c.Schedule != "" {
		query.Set("schedule", c.Schedule)
	}
	a, err := client.Post(ctx, "/services/trigger", query)
	if err != nil {
		return err
	}
	var t triggered
	if err := json.Unmarshal(a.Body, &t); err != nil {
		return a.Decode(&t)
	}
	if c.Format == formatJSON {
		err = writeJSON(newScreen(s.Out), a.Body)
	} else {
		err = t.write(s)
	}
	if err == nil && t.Outcome != "ok" {
		return fmt.Errorf("%s: the run has failed: %s", boundTo(c.Prefix, c.Match), stdio.Printable(t.result()))
	}
	return err
}

// write writes the body of the answer to the standard output, and a line about it to the standard error.
func (t *triggered) write(s stdio.Streams) error {
	if t.Outcome == "ok" {
		fmt.Fprintf(s.Err, "ran %s: %s in %s\n", stdio.Printable(t.Schedule), stdio.Printable(t.result()), stdio.Printable(t.Duration))
	}
	to := newScreen(s.Out)
	body := cmp.Or(t.Body, string(t.Bytes))
	if to.columns > 0 {
		body = stdio.Printable(body, '\n', '\t')
		if body != "" && body[len(body)-1] != '\n' {
			body += "\n"
		}
	}
	if _, err := to.Write([]byte(body)); err != nil {
		return err
	}
	if t.Truncated {
		fmt.Fprintln(s.Err, "the answer is longer: this is its beginning")
	}
	return nil
}

// result describes how a run ended.
func (r *run) result() string {
	status := ""
	if r.Status != 0 {
		status = fmt.Sprintf("status %d", r.Status)
	}
	switch {
	case r.Detail == "":
		return status
	case status == "":
		return r.Detail
	}
	return status + ", " + r.Detail
}

// scheduled is a schedule of a service with its runs.
type scheduled struct {
	Schedule string    `json:"schedule"`
	Next     time.Time `json:"next"`
	State    string    `json:"state"`
	Runs     uint64    `json:"runs"`
	Failed   uint64    `json:"failed"`
	Skipped  uint64    `json:"skipped"`
	Missed   uint64    `json:"missed"`
	Last     *run      `json:"last"`
}

// write adds the rows of a schedule with its number.
func (s *scheduled) write(t *table, to *screen, number int) {
	t.row(fmt.Sprintf("schedule %d", number), s.Schedule)
	switch {
	case s.State == "running" || s.State == "waiting":
		t.row("  next run", s.State+" now, then "+to.until(s.Next))
	case s.Next.IsZero():
		t.row("  next run", "never")
	default:
		t.row("  next run", to.until(s.Next))
	}
	if s.Last != nil {
		text := to.ago(s.Last.Started) + ": " + s.Last.Outcome
		if result := s.Last.result(); result != "" {
			text += ", " + result
		}
		if s.Last.Duration != "" {
			text += ", in " + s.Last.Duration
		}
		if s.Last.Trigger != "schedule" {
			text += " (" + s.Last.Trigger + ")"
		}
		t.row("  last run", text)
	}
	counts := counted(int(s.Runs), "run")
	for _, c := range []struct {
		n    uint64
		name string
	}{{s.Failed, "failed"}, {s.Skipped, "skipped"}, {s.Missed, "missed"}} {
		if c.n > 0 {
			counts += fmt.Sprintf(", %d %s", c.n, c.name)
		}
	}
	t.row("  runs", counts)
}
