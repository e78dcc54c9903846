package cron

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// set is a set of numbers below 64.
type set uint64

func (s set) has(n int) bool { return s>>n&1 == 1 }

// next returns the least element that is at least n.
func (s set) next(n int) (int, bool) {
	rest := s >> n
	return n + bits.TrailingZeros64(uint64(rest)), rest != 0
}

func fullSet(from, to int) (s set) {
	for n := from; n <= to; n++ {
		s |= 1 << n
	}
	return s
}

// field describes the values of a field.
type field struct {
	name     string
	min, max int
	names    []string // of the values from min on
	wraps    bool     // a range may go over the end, as in FRI-MON
	question bool     // "?" stands for "*"
}

func monthField() field {
	return field{
		name:  "month",
		min:   1,
		max:   12,
		names: []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"},
	}
}

func weekDayField() field {
	return field{
		name:     "day of week",
		max:      7, // 0 and 7 are Sunday
		names:    weekDayNames(),
		wraps:    true,
		question: true,
	}
}

func weekDayNames() []string { return []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"} }

func (f field) refuse(format string, args ...any) error {
	return fmt.Errorf("the %s %s", f.name, fmt.Sprintf(format, args...))
}

// parseSet parses a list of ranges.
func parseSet(text string, f field) (set, error) {
	var all set
	for item := range strings.SplitSeq(text, ",") {
		s, err := f.parseItem(item)
		if err != nil {
			return 0, err
		}
		all |= s
	}
	return all, nil
}

// parseItem parses "*", a value or a range, each with an optional step.
func (f field) parseItem(item string) (set, error) {
	text, stepText, stepped := strings.Cut(item, "/")
	step := 1
	if stepped {
		var err error
		if step, err = strconv.Atoi(stepText); err != nil || step < 1 || step > f.max || stepText[0] == '+' {
			return 0, f.refuse("has the step %.20q: it must be a number from 1 to %d", stepText, f.max)
		}
	}
	from, to, err := f.parseRange(text, stepped)
	if err != nil {
		return 0, err
	}
	var s set
	for n := from; n <= to; n += step {
		s |= 1 << f.wrapped(n)
	}
	return s, nil
}

// wrapped returns the value that a number stands for: 7 and beyond are days of the next week.
func (f field) wrapped(n int) int {
	if f.wraps {
		return n % 7
	}
	return n
}

// parseRange returns the bounds of a range. A single value with a step is a range to the end.
func (f field) parseRange(text string, stepped bool) (from, to int, err error) {
	last := f.max
	if f.wraps {
		last--
	}
	if text == "*" || text == "?" && f.question {
		return f.min, last, nil
	}
	first, second, ranged := strings.Cut(text, "-")
	if from, err = f.parseValue(first); err != nil {
		return 0, 0, err
	}
	switch {
	case !ranged && stepped:
		return from, max(from, last), nil
	case !ranged:
		return from, from, nil
	}
	if to, err = f.parseValue(second); err != nil {
		return 0, 0, err
	}
	switch {
	case to >= from:
	case f.wraps:
		to += 7
	default:
		return 0, 0, f.refuse("has the range %.20q, which ends before it begins: write two ranges", text)
	}
	return from, to, nil
}

// parseValue parses a number or a name.
func (f field) parseValue(text string) (int, error) {
	if i := slices.Index(f.names, strings.ToUpper(text)); i >= 0 {
		return f.min + i, nil
	}
	n, err := strconv.Atoi(text)
	if err == nil && n >= f.min && n <= f.max && text[0] != '+' && len(text) <= 2 {
		return n, nil
	}
	named := ""
	if len(f.names) > 0 {
		named = ", or a name from " + f.names[0] + " to " + f.names[len(f.names)-1]
	}
	return 0, f.refuse("is %.20q: it must be a number from %d to %d%s", text, f.min, f.max, named)
}
