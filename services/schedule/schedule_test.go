package schedule_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/schedule"
	"github.com/vespo-dev/vespo/services/schema"
)

func TestParse(t *testing.T) {
	for _, c := range []struct{ text, kept, cron, method, target, next string }{
		{"*/5 * * * *", "*/5 * * * *", "*/5 * * * *", "", "", "2026-07-01T12:05:00Z"},
		{"  */5  *\t* * * POST  /tick ", "*/5 * * * * POST /tick", "*/5 * * * *", "POST", "/tick", "2026-07-01T12:05:00Z"},
		{"@daily GET /a%20b?c=%2F&d", "@daily GET /a%20b?c=%2F&d", "@daily", "GET", "/a%20b?c=%2F&d", "2026-07-02T00:00:00Z"},
		{"CRON_TZ=Asia/Kolkata 30 6 * * *", "CRON_TZ=Asia/Kolkata 30 6 * * *", "CRON_TZ=Asia/Kolkata 30 6 * * *", "", "", "2026-07-02T06:30:00+05:30"},
		{"TZ=UTC @hourly DELETE /", "TZ=UTC @hourly DELETE /", "TZ=UTC @hourly", "DELETE", "/", "2026-07-01T13:00:00Z"},
		{"0 0 * * FRI#2 M-SEARCH /x", "0 0 * * FRI#2 M-SEARCH /x", "0 0 * * FRI#2", "M-SEARCH", "/x", "2026-07-10T00:00:00Z"},
	} {
		s, err := schedule.Parse(c.text)
		require.NoError(t, err, c.text)
		require.Equal(t, []string{c.kept, c.cron, c.method, c.target}, []string{s.Text, s.Cron, s.Method, s.Target})
		require.Equal(t, c.method == "", s.Default())
		require.Equal(t, c.next, s.Next(time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)).Format(time.RFC3339), c.text)
	}
}

func TestSchedulesThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "it has 0 fields",
		"POST /tick":                      "it has 2 fields",
		"0 */5 * * * *":                   "seconds and years are not supported",
		"0 0 9 * * MON":                   `the request is "MON": write a method and a path`,
		"0 0 0 1 1 ? 2027":                "seconds and years are not supported",
		"* * * * * /tick":                 "write a method and a path, such as POST /tick",
		"* * * * * POST":                  "write a method and a path",
		"* * * * * POST /a b":             "write a method and a path",
		"* * * * * post /a":               "write it in capital letters, such as POST",
		"* * * * * CONNECT /a":            "which services do not serve",
		"* * * * * POST tick":             "it must begin with one /",
		"* * * * * POST //tick":           "it must begin with one /",
		"* * * * * POST /a#b":             "it must begin with one /",
		"* * * * * POST /%zz":             "it must begin with one /",
		"* * * * * POST http://a/":        "it must begin with one /",
		"* * * * * POST /a/%2e%2E/b":      `it must not have the segment ".."`,
		"CRON_TZ=Mars/Olympus * * * * *":  `the time zone is "Mars/Olympus": use UTC, or a name of the IANA database such as Europe/Berlin`,
		"CRON_TZ=Local * * * * *":         "the time zone is",
		"CRON_TZ= * * * * *":              "the time zone is",
		"TZ=../../etc/passwd * * * * *":   "the time zone is",
		"CRON_TZ=UTC":                     "it has 0 fields",
		"@daily @hourly":                  "nothing can follow it",
		"* * * * * POST /" + long(2*1024): "at most 1024 are allowed",
		"@reboot POST /":                  "a start is none",
	} {
		_, err := schedule.Parse(text)
		require.ErrorContains(t, err, want, text)
	}
}

func long(n int) string { return strings.Repeat("a", n) }

func TestFieldsOfManifests(t *testing.T) {
	set := schedule.Of(`{"cron":["@daily","60 * * * *","*/5 * * * * POST /tick"],"cron_grace":"10m0s","timeout":"1s"}`)
	require.Len(t, set.Schedules, 2)
	require.Equal(t, 10*time.Minute, set.Grace)
	require.Equal(t, http.MethodPost, set.Schedules[1].Method)
	require.Equal(t, 3, schedule.Count(`{"cron":["","",""]}`))
	for _, m := range []registry.Manifest{"", "{}", `{"timeout":"1s"}`, `{"cron":7}`, "["} {
		require.Equal(t, schedule.Set{Grace: schedule.DefaultGrace}, schedule.Of(m), m)
	}
	require.Empty(t, schedule.Check(`{"cron":["@daily"],"cron_grace":"168h0m0s"}`))
	require.Equal(t, problem.Violations{
		problem.Violate(schema.FieldCron, `"60 * * * *" is refused: the minute is "60": it must be a number from 0 to 59`),
		problem.Violate(schema.FieldCron, `has "@daily GET /" twice`),
		problem.Violate(schema.FieldCronGrace, "is 168h0m1s: it must be at most 168h0m0s"),
	}, schedule.Check(`{"cron":["60 * * * *","@daily GET /","@daily  GET  /"],"cron_grace":"168h0m1s"}`))
	var many []string
	for i := range schedule.Max + 1 {
		many = append(many, fmt.Sprintf(`"@daily GET /%d"`, i))
	}
	require.Len(t, schedule.Check(registry.Manifest(`{"cron":[`+strings.Join(many, ",")+`]}`)), 1)
	require.Empty(t, schedule.Check(registry.Manifest(`{"cron":[`+strings.Join(many[1:], ",")+`]}`)))
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"*/5 * * * * POST /tick", "CRON_TZ=Europe/Berlin @daily", "TZ=UTC 0 0 L * FRI#2 GET /a?b=%20", "0 0 0 * * * GET /"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := schedule.Parse(text)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		again, err := schedule.Parse(s.Text)
		require.NoError(t, err, s.Text)
		require.Equal(t, s.Text, again.Text)
		require.Equal(t, s.Cron, again.Cron)
		require.False(t, s.Next(time.Unix(0, 0)).IsZero())
		if s.Default() {
			require.Empty(t, s.Target)
			return
		}
		_, err = http.NewRequest(s.Method, "/prefix"+s.Target, nil)
		require.NoError(t, err, s.Text)
	})
}
