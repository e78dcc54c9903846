package cron

import (
	"strconv"
	"strings"
	"time"
)

// monthDays is the field for the day of month.
type monthDays struct {
	star     bool // begins with "*"
	set      set
	fromLast set   // days before the last one: 0 for L, 3 for L-3
	near     []int // nW: the working day that is nearest to day n
	lastWork bool  // LW: the last working day
}

func monthDayField() field {
	return field{
		name:     "day of month",
		min:      1,
		max:      31,
		question: true,
	}
}

// isStar reports whether a field for days does not restrict the other one.
func isStar(text string) bool { return text[0] == '*' || text[0] == '?' }

func parseMonthDays(text string) (d monthDays, err error) {
	f := monthDayField()
	d.star = isStar(text)
	for item := range strings.SplitSeq(text, ",") {
		upper := strings.ToUpper(item)
		before, isLast := strings.CutPrefix(upper, "L-")
		day, isNear := strings.CutSuffix(upper, "W")
		switch {
		case upper == "L":
			d.fromLast |= 1
		case upper == "LW" || upper == "WL":
			d.lastWork = true
		case isLast:
			n, err := strconv.Atoi(before)
			if err != nil || n < 1 || n > 30 || before[0] == '+' {
				return d, f.refuse("is %.20q: L- takes a number from 1 to 30", item)
			}
			d.fromLast |= 1 << n
		case isNear:
			n, err := f.parseValue(day)
			if err != nil {
				return d, f.refuse("is %.20q: W follows one day, as in 15W", item)
			}
			d.near = append(d.near, n)
		default:
			s, err := f.parseItem(item)
			if err != nil {
				return d, err
			}
			d.set |= s
		}
	}
	return d, nil
}

func (d monthDays) has(year int, month time.Month, day int) bool {
	if d.set.has(day) {
		return true
	}
	last := lastDay(year, month)
	if d.fromLast.has(last - day) {
		return true
	}
	if d.lastWork && day == nearest(year, month, last) {
		return true
	}
	for _, n := range d.near {
		if n <= last && day == nearest(year, month, n) {
			return true
		}
	}
	return false
}

// weekDays is the field for the day of week.
type weekDays struct {
	star bool // begins with "*"
	set  set  // 0 is Sunday
	last set  // nL: the last one of the month
	nth  [6]set
}

func parseWeekDays(text string) (w weekDays, err error) {
	f := weekDayField()
	w.star = isStar(text)
	for item := range strings.SplitSeq(text, ",") {
		upper := strings.ToUpper(item)
		day, isLast := strings.CutSuffix(upper, "L")
		name, count, isNth := strings.Cut(upper, "#")
		switch {
		case upper == "L":
			return w, f.refuse("is %q alone: write SAT, or FRIL for the last Friday of a month", item)
		case isLast:
			n, err := f.parseValue(day)
			if err != nil {
				return w, err
			}
			w.last |= 1 << f.wrapped(n)
		case isNth:
			n, err := f.parseValue(name)
			if err != nil {
				return w, err
			}
			if len(count) != 1 || count[0] < '1' || count[0] > '5' {
				return w, f.refuse("is %.20q: # takes a number from 1 to 5", item)
			}
			w.nth[count[0]-'0'] |= 1 << f.wrapped(n)
		case strings.HasSuffix(upper, "W"):
			return w, f.refuse("is %.20q: W is for days of the month, as in 15W", item)
		default:
			s, err := f.parseItem(item)
			if err != nil {
				return w, err
			}
			w.set |= s
		}
	}
	return w, nil
}

func (w weekDays) has(year int, month time.Month, day int) bool {
	weekday := int(weekdayOf(year, month, day))
	return w.set.has(weekday) || w.nth[(day+6)/7].has(weekday) || w.last.has(weekday) && day+7 > lastDay(year, month)
}

func weekdayOf(year int, month time.Month, day int) time.Weekday {
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Weekday()
}

// lastDay returns the number of days of a month.
func lastDay(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// nearest returns the working day that is nearest to a day, within its month.
func nearest(year int, month time.Month, day int) int {
	switch weekday := weekdayOf(year, month, day); {
	case weekday == time.Saturday && day > 1:
		return day - 1
	case weekday == time.Saturday:
		return day + 2
	case weekday == time.Sunday && day < lastDay(year, month):
		return day + 1
	case weekday == time.Sunday:
		return day - 2
	}
	return day
}
