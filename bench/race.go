package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/bench/internal/load"
	"github.com/vespo-dev/vespo/bench/internal/report"
)

// The number of turns that a rival has before it is measured. Runtimes for JavaScript compile in that time.
const (
	warmRounds       = 2
	warmRoundsScript = 6
)

// reasonLength is the longest reason in the report, in bytes.
const reasonLength = 200

// errNoTime is the reason of servers that were not measured when the time of a section was over.
var errNoTime = errors.New("the time for this section was over")

// runner is a rival that takes part in a race.
type runner struct {
	rival
	server *server
	dial   func() (*load.Client, error)
	entry  report.Entry
}

// chosen returns the rivals of a task that the flags select.
func (b *bench) chosen(t *task) (all []rival) {
	for _, r := range rivals {
		if slices.Contains(t.rivals, r.name) && slices.Contains(b.rivals, r.name) {
			all = append(all, r)
		}
	}
	return all
}

// race measures a task on the given rivals in turn. A rival that is missing, fails or hangs becomes an absence, and the others go on.
func (b *bench) race(ctx context.Context, t *task, all []rival) *report.Comparison {
	c := &report.Comparison{Name: t.name, Title: t.title, Bases: []string{rivalNative, rivalNode, rivalVespo}}
	connections := cmp.Or(t.connections, b.connections)
	c.Notes = append(c.Notes, fmt.Sprintf("%d connections, each asks again when it is answered; %d rounds of %v.", connections, b.rounds, b.round))
	if t.note != "" {
		c.Notes = append(c.Notes, t.note)
	}
	absent := func(name string, err error) {
		if ctx.Err() != nil {
			err = errNoTime
		}
		c.Absent = append(c.Absent, report.Absence{Name: name, Reason: reason(err)})
	}
	var runners []*runner
	defer func() {
		for _, r := range runners {
			_ = r.server.stop() // its figures exist
		}
	}()
	for _, one := range all {
		r, err := b.enter(ctx, t, one, connections)
		if err != nil {
			absent(one.name, err)
			continue
		}
		runners = append(runners, r)
	}
	for _, r := range b.takeTurns(ctx, runners, absent) {
		c.Entries = append(c.Entries, r.entry)
	}
	return c
}

// takeTurns measures the runners in turn until the rounds or the time are over, and returns the measured ones.
func (b *bench) takeTurns(ctx context.Context, runners []*runner, absent func(string, error)) (measured []*runner) {
	failed := map[*runner]bool{}
	for round := range b.rounds {
		for i := range runners {
			r := runners[(i+round)%len(runners)] // rotate the order, so that no server always follows the same one
			if failed[r] || ctx.Err() != nil {
				continue
			}
			if err := r.turn(b.round); err != nil {
				absent(r.name, err)
				failed[r] = true
			}
		}
	}
	for _, r := range runners {
		switch {
		case failed[r]:
		case len(r.entry.PerSecond) == 0:
			absent(r.name, errNoTime)
		default:
			measured = append(measured, r)
		}
	}
	return measured
}

// enter starts a rival, checks its answer and warms it up.
func (b *bench) enter(ctx context.Context, t *task, one rival, connections int) (*runner, error) {
	s, err := one.start(b, ctx, t)
	if err != nil {
		return nil, err
	}
	r := &runner{rival: one, server: s, entry: report.Entry{Name: one.name, State: one.state}}
	r.dial = func() (*load.Client, error) {
		c, err := t.dial(s.addr, connections)
		if err != nil {
			return nil, err
		}
		c.Patience(b.patience)
		return c, nil
	}
	if err := r.check(t, time.Duration(cmp.Or(one.warm, warmRounds))*b.round); err != nil {
		_ = s.stop() // the first error is the reason
		return nil, err
	}
	return r, nil
}

// check makes a request, compares its answer, and then repeats it for a while.
func (r *runner) check(t *task, warm time.Duration) error {
	client, err := r.dial()
	if err != nil {
		return err
	}
	defer client.Close() // of use no more
	status, answer, err := client.Get()
	switch {
	case err != nil:
		return err
	case status != 200:
		return fmt.Errorf("answered %d %.80q", status, answer)
	case answer != t.answer && t.mix == nil:
		return fmt.Errorf("answered %.80q instead of %.80q", answer, t.answer)
	}
	_, err = client.Run(load.Bound{Duration: warm})
	return err
}

// turn measures a rival for a while, on new connections: some servers close idle ones.
func (r *runner) turn(during time.Duration) error {
	if r.client != "" {
		if err := pinSelf(r.client); err != nil {
			return err
		}
	}
	client, err := r.dial()
	if err != nil {
		return err
	}
	defer client.Close() // of use no more
	before, err := r.server.cpu()
	if err != nil {
		return err
	}
	result, err := client.Run(load.Bound{Duration: during})
	if err != nil {
		return err
	}
	after, err := r.server.cpu()
	if err != nil {
		return err
	}
	e := &r.entry
	e.PerSecond = append(e.PerSecond, result.PerSecond())
	e.P50 = append(e.P50, result.Latencies.Quantile(0.5).Seconds())
	e.P99 = append(e.P99, result.Latencies.Quantile(0.99).Seconds())
	e.CPU = append(e.CPU, (after-before).Seconds()/float64(result.Requests))
	return nil
}

// reason returns the last line of an error as text for a page.
func reason(err error) string {
	text := strings.Join(strings.Fields(lastLine(err)), " ")
	text = strings.Map(func(r rune) rune {
		if strings.ContainsRune("|<>`[]*_", r) {
			return ' '
		}
		return r
	}, text)
	if len(text) > reasonLength {
		text = strings.ToValidUTF8(text[:reasonLength], "") + "..."
	}
	return text
}
