package tokens

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Limits of the time until a token expires.
const (
	DefaultExpiry = "90d"
	Never         = "never"
	maxExpiry     = 10 * 365 * 24 * time.Hour
)

// ParseExpiry returns the time at which a token expires that is made now: after a Go duration, or a number of days or weeks
// such as "90d" or "12w". It is zero for "never".
func ParseExpiry(text string, now time.Time) (time.Time, error) {
	if text == Never {
		return time.Time{}, nil
	}
	d, err := time.ParseDuration(text)
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if count, ok := strings.CutSuffix(text, unit); ok {
			var n uint64
			n, err = strconv.ParseUint(count, 10, 16)
			d = time.Duration(n) * length
		}
	}
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("is %.40q: give a number of days such as 90d, a duration such as 12h, or never", text)
	case d <= 0 || d > maxExpiry:
		return time.Time{}, fmt.Errorf("is %.40q: it must be more than 0 and at most 10 years, or never", text)
	}
	return now.Add(d), nil
}
