// Package cron parses cron expressions and finds their times.
//
// An [Expression] has the five fields of crontab(5), with the names and the special characters that schedulers have in
// common. It has no seconds: its times are whole minutes of a wall clock.
//
// # Daylight saving
//
// [Expression.Next] returns times of the zone of its argument. Where that zone's clock is put forward or back, there are
// two rules. An expression for every hour follows the clock: it has no times in a skipped hour, and has those of a
// repeated hour twice. Any other expression has each of its times once: those in a skipped hour are one time, the
// moment of the change, and those in a repeated hour are in its first pass.
//
// The package is pure, except that time zones are read from the system's files.
package cron

import (
	"fmt"
	"strings"
	"time"
)

// maxBytes is the maximum length of an expression.
const maxBytes = 256

// horizonYears is how far Next searches. The rarest expressions that have a time at all, such as the fifth Friday of
// February, have one within 40 years.
const horizonYears = 41

// Expression is a parsed cron expression. It is immutable.
type Expression struct {
	text     string // as written, with single spaces
	minutes  set
	hours    set
	months   set
	days     monthDays
	weekdays weekDays
}

// macros are the expressions that have a name.
func macros() map[string]string {
	return map[string]string{
		"@yearly":   "0 0 1 1 *",
		"@annually": "0 0 1 1 *",
		"@monthly":  "0 0 1 * *",
		"@weekly":   "0 0 * * 0",
		"@daily":    "0 0 * * *",
		"@midnight": "0 0 * * *",
		"@hourly":   "0 * * * *",
	}
}

// IsMacro reports whether a word stands for the five fields, such as "@daily".
func IsMacro(word string) bool { return strings.HasPrefix(word, "@") }

// Parse parses five fields, or a macro. The error says what is wrong in words for the author of the expression.
func Parse(text string) (*Expression, error) {
	if len(text) > maxBytes {
		return nil, fmt.Errorf("it has %d bytes: at most %d are allowed", len(text), maxBytes)
	}
	words := strings.Fields(text)
	e := &Expression{text: strings.Join(words, " ")}
	if len(words) > 0 && IsMacro(words[0]) {
		var err error
		if words, err = expand(words); err != nil {
			return nil, err
		}
	}
	if len(words) != 5 {
		return nil, fieldCount(len(words))
	}
	if err := e.parse(words); err != nil {
		return nil, err
	}
	if e.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("no date matches day %q of month %q", words[2], words[3])
	}
	return e, nil
}

// expand returns the fields of a macro.
func expand(words []string) ([]string, error) {
	fields, ok := macros()[strings.ToLower(words[0])]
	switch {
	case ok && len(words) > 1:
		return nil, fmt.Errorf("%s stands for all five fields: nothing can follow it", words[0])
	case ok:
		return strings.Fields(fields), nil
	case strings.EqualFold(words[0], "@reboot"):
		return nil, fmt.Errorf("%s is not supported: a schedule has times, and a start is none", words[0])
	case strings.EqualFold(words[0], "@every"):
		return nil, fmt.Errorf("%s is not supported: write */5 * * * * for every five minutes", words[0])
	}
	return nil, fmt.Errorf("%.20s is unknown: use @hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually", words[0])
}

func fieldCount(n int) error {
	hint := ""
	if n == 6 || n == 7 {
		hint = "; seconds and years are not supported"
	}
	return fmt.Errorf("it has %d fields: 5 are expected, minute, hour, day of month, month and day of week%s", n, hint)
}

// parse parses the five fields.
func (e *Expression) parse(words []string) (err error) {
	if e.minutes, err = parseSet(words[0], field{name: "minute", max: 59}); err != nil {
		return err
	}
	if e.hours, err = parseSet(words[1], field{name: "hour", max: 23}); err != nil {
		return err
	}
	if e.days, err = parseMonthDays(words[2]); err != nil {
		return err
	}
	if e.months, err = parseSet(words[3], monthField()); err != nil {
		return err
	}
	e.weekdays, err = parseWeekDays(words[4])
	return err
}

// String returns the expression as it was written, with single spaces.
func (e *Expression) String() string { return e.text }

// everyHour reports whether the expression follows the clock where it is changed.
func (e *Expression) everyHour() bool { return e.hours == fullSet(0, 23) }

// Next returns the first time after t, in the zone of t. It returns the zero time if there is none within decades.
func (e *Expression) Next(t time.Time) time.Time {
	horizon := t.AddDate(horizonYears, 0, 0)
	for at := t; at.Before(horizon); {
		p := periodOf(at)
		if found, ok := e.inPeriod(p, t); ok {
			return found
		}
		if p.end.IsZero() {
			break
		}
		at = p.end
	}
	return time.Time{}
}

// period is a time in which the offset of a zone from UTC does not change.
type period struct {
	start, end     time.Time     // zero: unbounded
	offset, before time.Duration // from UTC, and that of the period before
	in             *time.Location
}

func periodOf(t time.Time) period {
	p := period{in: t.Location(), offset: offsetAt(t)}
	p.start, p.end = t.ZoneBounds()
	p.before = p.offset
	if !p.start.IsZero() {
		p.before = offsetAt(p.start.Add(-time.Second))
	}
	return p
}

func offsetAt(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}

// wall returns what a clock with the offset shows at t, as a time in UTC.
func wall(t time.Time, offset time.Duration) time.Time { return t.UTC().Add(offset) }

// inPeriod returns the first time after t that is in the period.
func (e *Expression) inPeriod(p period, t time.Time) (time.Time, bool) {
	from := wall(t, p.offset).Add(1) // the first instant that counts
	if p.start.After(t) {
		from = wall(p.start, p.offset)
	}
	until := wall(t, p.offset).AddDate(horizonYears, 0, 0)
	if !p.end.IsZero() {
		until = wall(p.end, p.offset)
	}
	if !p.start.IsZero() && !e.everyHour() {
		if p.start.After(t) && e.skips(p) {
			return p.start.In(p.in), true
		}
		if passed := wall(p.start, p.before); from.Before(passed) { // the repeated hour
			from = passed
		}
	}
	found, ok := e.nextWall(from, until)
	return found.Add(-p.offset).In(p.in), ok
}

// skips reports whether times of the expression were skipped when the period began.
func (e *Expression) skips(p period) bool {
	_, ok := e.nextWall(wall(p.start, p.before), wall(p.start, p.offset))
	return ok
}

// nextWall returns the first time of a wall clock that matches, from "from" and before "until".
func (e *Expression) nextWall(from, until time.Time) (time.Time, bool) {
	t := from.Truncate(time.Minute)
	if t.Before(from) {
		t = t.Add(time.Minute)
	}
	for t.Before(until) {
		year, month, day := t.Date()
		if !e.months.has(int(month)) {
			t = time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
			continue
		}
		if !e.onDay(year, month, day) {
			t = time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)
			continue
		}
		hour, ok := e.hours.next(t.Hour())
		if !ok {
			t = time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)
			continue
		}
		if hour > t.Hour() {
			t = time.Date(year, month, day, hour, 0, 0, 0, time.UTC)
		}
		minute, ok := e.minutes.next(t.Minute())
		if !ok {
			t = time.Date(year, month, day, hour+1, 0, 0, 0, time.UTC)
			continue
		}
		t = time.Date(year, month, day, hour, minute, 0, 0, time.UTC)
		return t, t.Before(until)
	}
	return time.Time{}, false
}

// onDay reports whether a date matches the two fields for days. As in crontab(5), one of them suffices if neither
// begins with "*".
func (e *Expression) onDay(year int, month time.Month, day int) bool {
	inMonth, inWeek := e.days.has(year, month, day), e.weekdays.has(year, month, day)
	if e.days.star || e.weekdays.star {
		return inMonth && inWeek
	}
	return inMonth || inWeek
}
