package scheduler

import "time"

const (
	// punctual is the lateness up to which a time is not missed.
	punctual = time.Minute
	// maxSetBack is the longest step back of the clock that is waited for, such as a wrong daylight saving time. cron(8)
	// of Debian has the same bound.
	maxSetBack = 3 * time.Hour
	// maxCounted bounds the search for missed times that are only counted, which keeps all schedules waiting: the minutes
	// of a day.
	maxCounted = 24 * 60
)

// times is a schedule.
type times interface {
	// Next returns the first time after t, the zero time if there is none.
	Next(t time.Time) time.Time
}

// decision is what to do with the times up to now.
type decision struct {
	seen   time.Time // no time up to this one is looked at again
	due    time.Time // the time to run; zero: none
	missed int       // times that are not run, at most about maxCounted
}

// decide looks at the times after seen and up to now.
func decide(s times, seen, now time.Time, grace time.Duration) decision {
	if now.Before(seen.Add(-maxSetBack)) {
		return decision{seen: now}
	}
	d := decision{seen: seen}
	earliest := now.Add(-max(grace, punctual))
	for t := s.Next(seen); !t.IsZero() && !t.After(now); t = s.Next(t) {
		if d.missed >= maxCounted && t.Before(earliest) {
			t = earliest.Add(-1) // Next goes on from here
			continue
		}
		if !d.due.IsZero() || t.Before(earliest) {
			d.missed++
		}
		if !t.Before(earliest) {
			d.due = t
		}
		d.seen = t
	}
	if d.missed > 0 && d.due.IsZero() {
		d.seen = now
	}
	return d
}
