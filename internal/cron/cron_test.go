package cron

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const layout = "2006-01-02 15:04 -0700"

// zone returns a time zone, or skips the test on a machine that has none.
func zone(tb testing.TB, name string) *time.Location {
	tb.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		tb.Skipf("this machine has no time zones: %s", err)
	}
	return loc
}

// timesAfter returns the first n times of an expression.
func timesAfter(tb testing.TB, text, in, after string, n int) (times []string) {
	tb.Helper()
	e, err := Parse(text)
	require.NoError(tb, err, text)
	at, err := time.ParseInLocation("2006-01-02 15:04:05", after, zone(tb, in))
	require.NoError(tb, err)
	for range n {
		at = e.Next(at)
		times = append(times, at.Format(layout))
	}
	return times
}

func TestNext(t *testing.T) {
	for _, c := range []struct {
		text, after string
		want        []string
	}{
		{"*/5 * * * *", "2026-11-28 18:04:59", []string{"2026-11-28 18:05", "2026-11-28 18:10"}},
		{"* * * * *", "2026-11-28 18:04:00", []string{"2026-11-28 18:05", "2026-11-28 18:06"}},
		{"0,30 9-17/4 * * mon-fri", "2026-11-27 17:30:00", []string{"2026-11-30 09:00", "2026-11-30 09:30", "2026-11-30 13:00"}},
		{"5/20 * * * *", "2026-01-01 00:00:00", []string{"2026-01-01 00:05", "2026-01-01 00:25", "2026-01-01 00:45", "2026-01-01 01:05"}},
		{"0 0 29 2 *", "2096-03-01 00:00:00", []string{"2104-02-29 00:00"}},
		{"0 0 * 2 FRI#5", "2026-01-01 00:00:00", []string{"2036-02-29 00:00", "2064-02-29 00:00"}},
		{"0 0 13 * FRI", "2026-02-01 00:00:00", []string{"2026-02-06 00:00", "2026-02-13 00:00", "2026-02-20 00:00"}},
		{"0 0 */2 * MON", "2026-02-01 00:00:00", []string{"2026-02-09 00:00", "2026-02-23 00:00", "2026-03-09 00:00"}},
		{"0 0 ? * SUN", "2026-02-01 00:00:00", []string{"2026-02-08 00:00"}},
		{"0 0 * * 7", "2026-02-01 00:00:00", []string{"2026-02-08 00:00"}},
		{"0 0 * * FRI-MON", "2026-02-05 00:00:00", []string{"2026-02-06 00:00", "2026-02-07 00:00", "2026-02-08 00:00", "2026-02-09 00:00", "2026-02-13 00:00"}},
		{"0 0 * * 5-7", "2026-02-05 00:00:00", []string{"2026-02-06 00:00", "2026-02-07 00:00", "2026-02-08 00:00", "2026-02-13 00:00"}},
		{"0 0 L * *", "2028-02-01 00:00:00", []string{"2028-02-29 00:00", "2028-03-31 00:00"}},
		{"0 0 L-2 * *", "2027-02-01 00:00:00", []string{"2027-02-26 00:00", "2027-03-29 00:00"}},
		{"0 0 LW * *", "2026-01-01 00:00:00", []string{"2026-01-30 00:00", "2026-02-27 00:00", "2026-03-31 00:00"}},
		{"0 0 1W * *", "2026-07-15 00:00:00", []string{"2026-08-03 00:00", "2026-09-01 00:00"}},
		{"0 0 31W * *", "2026-05-01 00:00:00", []string{"2026-05-29 00:00", "2026-07-31 00:00"}},
		{"0 0 15W * *", "2026-02-01 00:00:00", []string{"2026-02-16 00:00", "2026-03-16 00:00", "2026-04-15 00:00"}},
		{"0 0 * * FRIL", "2026-02-01 00:00:00", []string{"2026-02-27 00:00", "2026-03-27 00:00"}},
		{"0 0 * * 5l", "2026-02-01 00:00:00", []string{"2026-02-27 00:00"}},
		{"0 0 * * mon#1,mon#3", "2026-02-01 00:00:00", []string{"2026-02-02 00:00", "2026-02-16 00:00", "2026-03-02 00:00"}},
		{"0 12 * jan,Jul *", "2026-02-01 00:00:00", []string{"2026-07-01 12:00", "2026-07-02 12:00"}},
		{"@hourly", "2026-02-01 00:00:00", []string{"2026-02-01 01:00"}},
		{"@daily", "2026-02-01 00:00:00", []string{"2026-02-02 00:00"}},
		{"@Midnight", "2026-02-01 00:00:00", []string{"2026-02-02 00:00"}},
		{"@weekly", "2026-02-01 00:00:00", []string{"2026-02-08 00:00"}},
		{"@monthly", "2026-02-01 00:00:00", []string{"2026-03-01 00:00"}},
		{"@yearly", "2026-02-01 00:00:00", []string{"2027-01-01 00:00"}},
		{"@annually", "2026-02-01 00:00:00", []string{"2027-01-01 00:00"}},
	} {
		var want []string
		for _, at := range c.want {
			want = append(want, at+" +0000")
		}
		require.Equal(t, want, timesAfter(t, c.text, "UTC", c.after, len(want)), c.text)
	}
}

func TestClocksThatAreChanged(t *testing.T) {
	for name, c := range map[string]struct {
		text, zone, after string
		want              []string
	}{
		"a skipped time is the moment of the change": {
			"30 2 * * *", "Europe/Berlin", "2026-03-28 12:00:00",
			[]string{"2026-03-29 03:00 +0200", "2026-03-30 02:30 +0200"},
		},
		"skipped times are one": {
			"*/10 2,3 * * *", "Europe/Berlin", "2026-03-29 01:59:59",
			[]string{"2026-03-29 03:00 +0200", "2026-03-29 03:10 +0200"},
		},
		"a repeated time is in the first pass": {
			"30 2 * * *", "Europe/Berlin", "2026-10-24 12:00:00",
			[]string{"2026-10-25 02:30 +0200", "2026-10-26 02:30 +0100"},
		},
		"a time in the second pass is over": {
			"59 2 * * *", "Europe/Berlin", "2026-10-25 02:59:30",
			[]string{"2026-10-26 02:59 +0100"},
		},
		"each hour follows the clock back": {
			"15 * * * *", "America/New_York", "2026-11-01 00:20:00",
			[]string{"2026-11-01 01:15 -0400", "2026-11-01 01:15 -0500", "2026-11-01 02:15 -0500"},
		},
		"each hour follows the clock forward": {
			"15 * * * *", "America/New_York", "2026-03-08 01:10:00",
			[]string{"2026-03-08 01:15 -0500", "2026-03-08 03:15 -0400"},
		},
		"half an hour": {
			"10,40 2 * * *", "Australia/Lord_Howe", "2026-10-04 00:00:00",
			[]string{"2026-10-04 02:30 +1100", "2026-10-04 02:40 +1100", "2026-10-05 02:10 +1100"},
		},
		"a skipped day": {
			"0 9 30 12 *", "Pacific/Apia", "2011-12-01 00:00:00",
			[]string{"2011-12-31 00:00 +1400", "2012-12-30 09:00 +1400"},
		},
		"midnight is skipped": {
			"0 0 * * *", "America/Asuncion", "2023-09-30 12:00:00",
			[]string{"2023-10-01 01:00 -0300", "2023-10-02 00:00 -0300"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, timesAfter(t, c.text, c.zone, c.after, len(c.want)))
		})
	}
}

func TestExpressionsThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "it has 0 fields: 5 are expected, minute, hour, day of month, month and day of week",
		"* * * *":                         "it has 4 fields",
		"0 * * * * *":                     "seconds and years are not supported",
		"60 * * * *":                      `the minute is "60": it must be a number from 0 to 59`,
		"* 24 * * *":                      `the hour is "24": it must be a number from 0 to 23`,
		"* * 0 * *":                       `the day of month is "0": it must be a number from 1 to 31`,
		"* * * 13 *":                      `the month is "13": it must be a number from 1 to 12, or a name from JAN to DEC`,
		"* * * * 8":                       `the day of week is "8": it must be a number from 0 to 7, or a name from SUN to SAT`,
		"* * * * monday":                  "or a name from SUN to SAT",
		"-1 * * * *":                      `the minute is "": it must be`,
		"+1 * * * *":                      `the minute is "+1"`,
		"001 * * * *":                     `the minute is "001"`,
		"1,,2 * * * *":                    `the minute is "": it must be`,
		"? * * * *":                       `the minute is "?"`,
		"*/0 * * * *":                     `the minute has the step "0": it must be a number from 1 to 59`,
		"*/ * * * *":                      `the minute has the step ""`,
		"*/+5 * * * *":                    `the minute has the step "+5"`,
		"* 22-2 * * *":                    `the hour has the range "22-2", which ends before it begins: write two ranges`,
		"0 0 30 2 *":                      `no date matches day "30" of month "2"`,
		"0 0 31 4,6,9,11 *":               `no date matches day "31" of month "4,6,9,11"`,
		"0 0 L-31 * *":                    "L- takes a number from 1 to 30",
		"0 0 1-5W * *":                    "W follows one day, as in 15W",
		"0 0 * * 5W":                      "W is for days of the month",
		"0 0 * * L":                       "write SAT, or FRIL for the last Friday of a month",
		"0 0 * * 1#6":                     "# takes a number from 1 to 5",
		"@reboot":                         "@reboot is not supported: a schedule has times, and a start is none",
		"@every 5m":                       "@every is not supported: write */5 * * * * for every five minutes",
		"@every":                          "@every is not supported: write */5 * * * * for every five minutes",
		"@often":                          "@often is unknown: use @hourly",
		strings.Repeat("1,", 200) + "1 *": "it has 403 bytes: at most 256 are allowed",
	} {
		_, err := Parse(text)
		require.ErrorContains(t, err, want, text)
	}
}

func TestFromCloudflare(t *testing.T) {
	for text, want := range map[string]string{
		"*/30 * * * *":      "*/30 * * * *",
		"0 17 * * 1":        "0 17 * * SUN",
		"10 7 * *  2-6":     "10 7 * * MON-FRI",
		"0 18 * * 6L":       "0 18 * * FRIL",
		"0 18 * * friL":     "0 18 * * friL",
		"0 0 * * 7#2,1-3/2": "0 0 * * SAT#2,SUN-TUE/2",
		"59 23 LW * *":      "59 23 LW * *",
	} {
		got, err := FromCloudflare(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"0 0 * * 0", "0 0 * * 8", "* * * *", "0 0 * * L"} {
		_, err := FromCloudflare(text)
		require.Error(t, err, text)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"*/5 * * * *", "0 0 L-2,15W,LW 1-3 FRI#2,5L,MON-SUN/2", "@daily", "5/7 22 ? JAN-DEC 0-7", "0 0 30 2 *"} {
		f.Add(text, int64(1_774_746_000))
	}
	f.Fuzz(func(t *testing.T, text string, at int64) {
		e, err := Parse(text)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		again, err := Parse(e.String())
		require.NoError(t, err)
		require.Equal(t, e, again)
		after := time.Unix(at%4_000_000_000, 0).UTC()
		next := e.Next(after)
		require.True(t, next.After(after), "%s after %s: %s", text, after, next)
		require.Zero(t, next.Nanosecond()+next.Second())
		require.True(t, e.onDay(next.Date()) && e.hours.has(next.Hour()) && e.minutes.has(next.Minute()) && e.months.has(int(next.Month())))
		_, _ = FromCloudflare(text)
	})
}
