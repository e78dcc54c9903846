package fields

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Time returns the value of a field that names a time, see ParseTime. Another value is a violation.
func (in *Input) Time(name string, now time.Time) time.Time {
	at, err := ParseTime(in.Text(name), now)
	if err != nil {
		in.Violate(name, "%s", err)
	}
	return at
}

// ParseTime parses a time: RFC 3339, a date or month in UTC ("2026-11-01", "2026-11"), or how long ago it is, such
// as "12h" or "30d".
func ParseTime(text string, now time.Time) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly, "2006-01"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return now.UTC().AddDate(0, 0, -int(n)), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.UTC().Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("%.60q is not a time: write it like 2026-11-01, 2026-11, 2026-11-01T12:00:00Z, 12h or 30d", text)
}
