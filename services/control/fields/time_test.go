package fields_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/control/fields"
)

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 11, 28, 13, 0, 30, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2026-11-01":                time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
		"2026-11":                   time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
		"2026-11-01T12:00:00+02:00": time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC),
		"12h":                       now.Add(-12 * time.Hour),
		"30d":                       now.AddDate(0, 0, -30),
	} {
		got, err := fields.ParseTime(text, now)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "yesterday", "-1h", "-3d", "2026-13", "99999999d"} {
		_, err := fields.ParseTime(text, now)
		require.Error(t, err, text)
	}
}
