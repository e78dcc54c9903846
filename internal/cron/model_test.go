package cron

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// model finds the times of an expression by looking at every minute. It knows the zone only by what a clock shows.
type model struct {
	minute, hour, day, month, weekday string
	in                                *time.Location
}

// holds reports whether a value is in a list of ranges, which have numbers alone.
func holds(list string, n, lowest, highest int) bool {
	for item := range strings.SplitSeq(list, ",") {
		bounds, stepText, stepped := strings.Cut(item, "/")
		from, to, step := lowest, highest, 1
		if stepped {
			step, _ = strconv.Atoi(stepText)
		}
		if bounds != "*" {
			first, second, ranged := strings.Cut(bounds, "-")
			from, _ = strconv.Atoi(first)
			if to = from; ranged {
				to, _ = strconv.Atoi(second)
			}
		}
		if n >= from && n <= to && (n-from)%step == 0 {
			return true
		}
	}
	return false
}

// shows reports whether a clock's reading, given as a time in UTC, matches.
func (m model) shows(reading time.Time) bool {
	inMonth, inWeek := holds(m.day, reading.Day(), 1, 31), holds(m.weekday, int(reading.Weekday()), 0, 6)
	onDay := inMonth || inWeek
	if m.day[0] == '*' || m.weekday[0] == '*' {
		onDay = inMonth && inWeek
	}
	return onDay && holds(m.minute, reading.Minute(), 0, 59) && holds(m.hour, reading.Hour(), 0, 23) && holds(m.month, int(reading.Month()), 1, 12)
}

func (m model) everyHour() bool {
	for hour := range 24 {
		if !holds(m.hour, hour, 0, 23) {
			return false
		}
	}
	return true
}

// reading returns what a clock shows, as a time in UTC.
func (m model) reading(t time.Time) time.Time {
	t = t.In(m.in)
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), 0, 0, time.UTC)
}

// times returns the times between two instants, minute by minute.
func (m model) times(from, to time.Time) (times []time.Time) {
	latest := m.reading(from) // the latest reading so far
	everyHour := m.everyHour()
	for t := from.Add(time.Minute); t.Before(to); t = t.Add(time.Minute) {
		now := m.reading(t)
		if everyHour {
			if m.shows(now) {
				times = append(times, t)
			}
			continue
		}
		for reading := latest.Add(time.Minute); !reading.After(now); reading = reading.Add(time.Minute) {
			if m.shows(reading) {
				times = append(times, t)
				break
			}
		}
		if now.After(latest) {
			latest = now
		}
	}
	return times
}

// someField returns a random list of ranges.
func someField(r *rand.Rand, lowest, highest int) string {
	number := func() int { return lowest + r.IntN(highest-lowest+1) }
	switch r.IntN(6) {
	case 0, 1:
		return "*"
	case 2:
		return fmt.Sprintf("*/%d", 1+r.IntN(highest/2))
	case 3:
		a, b := number(), number()
		return fmt.Sprintf("%d-%d/%d", min(a, b), max(a, b), 1+r.IntN(3))
	case 4:
		return fmt.Sprintf("%d,%d", number(), number())
	}
	return strconv.Itoa(number())
}

// TestNextIsWhatASearchMinuteByMinuteFinds compares Next with the model in zones whose clocks are changed, around the
// changes. The offsets of those times are whole minutes.
func TestNextIsWhatASearchMinuteByMinuteFinds(t *testing.T) {
	const day = 24 * time.Hour
	r := rand.New(rand.NewPCG(1, 2))
	checked := 0
	for _, c := range []struct{ zone, around string }{
		{"UTC", "2026-03-01"},
		{"Europe/Berlin", "2026-03-29"},
		{"Europe/Berlin", "2026-10-25"},
		{"America/New_York", "2026-03-08"},
		{"America/New_York", "2026-11-01"},
		{"Australia/Lord_Howe", "2026-04-05"},
		{"Australia/Lord_Howe", "2026-10-04"},
		{"Asia/Kathmandu", "2026-01-01"},
		{"Asia/Kolkata", "2028-02-29"},
		{"Africa/Casablanca", "2026-02-15"},
		{"Africa/Casablanca", "2026-03-22"},
		{"Pacific/Apia", "2011-12-30"},
		{"America/Asuncion", "2023-10-01"},
		{"Antarctica/Troll", "2026-03-29"},
		{"Antarctica/Troll", "2026-10-25"},
		{"America/St_Johns", "2006-10-29"},
	} {
		in := zone(t, c.zone)
		middle, err := time.ParseInLocation(time.DateOnly, c.around, in)
		require.NoError(t, err)
		from, to := middle.Add(-2*day).Truncate(time.Minute), middle.Add(3*day)
		for range 20 {
			m := model{
				minute:  someField(r, 0, 59),
				hour:    slices.Concat([]string{"0-4", "1,2,3", "2", "*"}, []string{someField(r, 0, 23)})[r.IntN(5)],
				day:     someField(r, 1, 31),
				month:   "*",
				weekday: someField(r, 0, 6),
				in:      in,
			}
			text := strings.Join([]string{m.minute, m.hour, m.day, m.month, m.weekday}, " ")
			e, err := Parse(text)
			require.NoError(t, err, text)
			var found []time.Time
			for at := e.Next(from.In(in)); at.Before(to); at = e.Next(at) {
				found = append(found, at.UTC())
			}
			var want []time.Time
			for _, at := range m.times(from, to) {
				want = append(want, at.UTC())
			}
			require.Equal(t, want, found, "%s in %s around %s", text, c.zone, c.around)
			checked += len(want)
		}
	}
	require.Greater(t, checked, 3_000)
}
