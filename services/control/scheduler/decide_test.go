package scheduler

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/schedule"
)

func parsed(t *testing.T, text string) *schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(text)
	require.NoError(t, err)
	return s
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	if text == "" {
		return time.Time{}
	}
	when, err := time.Parse("2006-01-02 15:04:05", text)
	require.NoError(t, err)
	return when
}

func TestDecide(t *testing.T) {
	for name, c := range map[string]struct {
		text, seen, now string
		grace           time.Duration
		wantSeen, due   string
		missed          int
	}{
		"not yet":                  {"0 3 * * *", "2026-01-01 03:00:00", "2026-01-02 02:59:59", time.Hour, "2026-01-01 03:00:00", "", 0},
		"on time":                  {"0 3 * * *", "2026-01-01 03:00:00", "2026-01-02 03:00:00", time.Hour, "2026-01-02 03:00:00", "2026-01-02 03:00:00", 0},
		"within the grace":         {"0 3 * * *", "2026-01-01 03:00:00", "2026-01-02 04:00:00", time.Hour, "2026-01-02 03:00:00", "2026-01-02 03:00:00", 0},
		"beyond the grace":         {"0 3 * * *", "2026-01-01 03:00:00", "2026-01-02 04:00:01", time.Hour, "2026-01-02 04:00:01", "", 1},
		"punctual without a grace": {"0 3 * * *", "2026-01-01 03:00:00", "2026-01-02 03:01:00", time.Second, "2026-01-02 03:00:00", "2026-01-02 03:00:00", 0},
		"the latest of several":    {"*/5 * * * *", "2026-01-01 03:00:00", "2026-01-01 03:17:00", time.Hour, "2026-01-01 03:15:00", "2026-01-01 03:15:00", 2},
		"some beyond the grace":    {"*/5 * * * *", "2026-01-01 00:00:00", "2026-01-01 03:17:00", time.Hour, "2026-01-01 03:15:00", "2026-01-01 03:15:00", 38},
		"a year of minutes":        {"* * * * *", "2025-01-01 00:00:00", "2026-01-01 03:17:00", time.Hour, "2026-01-01 03:17:00", "2026-01-01 03:17:00", maxCounted + 60},
		"a year of days":           {"0 3 * * *", "2025-01-01 03:00:00", "2026-01-01 12:00:00", time.Hour, "2026-01-01 12:00:00", "", 365},
		"a step back":              {"* * * * *", "2026-01-01 03:00:00", "2026-01-01 02:00:00", time.Hour, "2026-01-01 03:00:00", "", 0},
		"a step back of three":     {"* * * * *", "2026-01-01 03:00:00", "2026-01-01 00:00:00", time.Hour, "2026-01-01 03:00:00", "", 0},
		"a clock that was wrong":   {"* * * * *", "2038-01-01 03:00:00", "2026-01-01 02:00:00", time.Hour, "2026-01-01 02:00:00", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := decide(parsed(t, c.text), at(t, c.seen), at(t, c.now), c.grace)
			require.Equal(t, decision{seen: at(t, c.wantSeen), due: at(t, c.due), missed: c.missed}, d)
		})
	}
}

// FuzzDecide checks that no time is decided on twice, and that none is left behind.
func FuzzDecide(f *testing.F) {
	f.Add("*/5 * * * *", int64(0), int64(1000), int64(60))
	f.Add("0 3 * * *", int64(0), int64(90_000), int64(3600))
	f.Add("CRON_TZ=Europe/Berlin 30 2 * * *", int64(1_774_700_000), int64(100_000), int64(3600))
	f.Fuzz(func(t *testing.T, text string, from, length, graceSeconds int64) {
		s, err := schedule.Parse(text)
		if err != nil {
			return
		}
		seen := time.Unix(from%4_000_000_000, 0).UTC()
		now := seen.Add(time.Duration(length%10_000_000) * time.Second)
		grace := time.Duration(max(0, graceSeconds%600_000)) * time.Second
		d := decide(s, seen, now, grace)
		if !d.due.IsZero() {
			require.True(t, d.due.After(seen) && !d.due.After(now) && !d.due.Before(now.Add(-max(grace, punctual))))
			require.Equal(t, d.due.Unix(), d.seen.Unix())
		}
		again := decide(s, d.seen, now, grace)
		require.True(t, again.due.IsZero())
		require.Zero(t, again.missed)
		if next := s.Next(d.seen); !next.IsZero() {
			require.True(t, next.After(now))
		}
	})
}
