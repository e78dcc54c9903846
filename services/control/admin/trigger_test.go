package admin_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/control/scheduler"
	"github.com/vespo-dev/vespo/services/schedule"
)

// fakeSchedules has one schedule for /a, which answers with what a test sets.
type fakeSchedules struct {
	status scheduler.Status
	answer scheduler.Answer
	asked  string
}

func (f *fakeSchedules) Status(key routekey.Key) []scheduler.Status {
	if key != routekey.MustParse("/a") {
		return nil
	}
	return []scheduler.Status{f.status}
}

func (f *fakeSchedules) Trigger(_ context.Context, key routekey.Key, which string) (scheduler.Answer, error) {
	f.asked = key.String() + "|" + which
	if which == "busy" {
		return scheduler.Answer{}, problem.New(problem.Conflict, "it runs")
	}
	return f.answer, nil
}

func TestSchedulesAreShown(t *testing.T) {
	handler := &fakeSchedules{}
	var err error
	handler.status.Schedule, err = schedule.Parse("CRON_TZ=Europe/Berlin 0 9 * * * POST /x")
	require.NoError(t, err)
	berlin := handler.status.Schedule.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	handler.status.Next = berlin
	st := start(t, setup{schedules: handler})
	require.Equal(t, http.StatusCreated, st.add("a", "one").status)
	require.Equal(t, http.StatusCreated, st.add("b", "one").status)
	shown := func(path string) string {
		var view struct {
			Schedules json.RawMessage
			Services  []struct {
				Prefix    string
				Schedules json.RawMessage
			}
		}
		require.NoError(t, json.Unmarshal([]byte(st.get(path).body), &view))
		for _, s := range view.Services {
			require.Equal(t, s.Prefix == "/a", s.Schedules != nil)
			if s.Schedules != nil {
				return string(s.Schedules)
			}
		}
		return string(view.Schedules)
	}
	idle := `[{"schedule":"CRON_TZ=Europe/Berlin 0 9 * * * POST /x","next":"2026-01-01T08:00:00Z","state":"idle","runs":0,"failed":0,"skipped":0,"missed":0}]`
	require.Equal(t, idle, shown("/services/inspect?prefix=a"))
	require.Equal(t, idle, shown("/services"))
	require.Empty(t, shown("/services/inspect?prefix=b"))

	handler.status.Waiting, handler.status.Counts = true, scheduler.Counts{Runs: 4, Failed: 3, Skipped: 2, Missed: 1}
	handler.status.Last = &scheduler.Record{Time: berlin, Started: berlin.Add(time.Second), Ended: berlin.Add(2 * time.Second), Trigger: scheduler.TriggerLate, Outcome: scheduler.OutcomeFailed, Status: 500, Detail: "why", RequestID: "7"}
	require.Equal(t, `[{"schedule":"CRON_TZ=Europe/Berlin 0 9 * * * POST /x","next":"2026-01-01T08:00:00Z","state":"waiting","runs":4,"failed":3,"skipped":2,"missed":1,`+
		`"last":{"time":"2026-01-01T08:00:00Z","started":"2026-01-01T08:00:01Z","ended":"2026-01-01T08:00:02Z","trigger":"late","outcome":"failed","status":500,"detail":"why","request_id":"7","duration":"1s"}}]`,
		shown("/services/inspect?prefix=a"))
	handler.status.Running, handler.status.Next = true, time.Time{}
	handler.status.Last.Ended = time.Time{}
	require.Regexp(t, `POST /x","state":"running",.*"started":"2026-01-01T08:00:01Z","trigger"`, shown("/services/inspect?prefix=a"))
}

func TestTriggerAnswers(t *testing.T) {
	handler := &fakeSchedules{}
	st := start(t, setup{schedules: handler})
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	handler.answer = scheduler.Answer{
		Schedule:  "@daily",
		Record:    scheduler.Record{Time: at, Started: at, Ended: at.Add(time.Millisecond), Trigger: scheduler.TriggerManual, Outcome: scheduler.OutcomeOK, Status: 201},
		Header:    http.Header{"X-A": {"b", "c"}},
		Body:      []byte("text\n"),
		Truncated: true,
	}
	const begin = `{"prefix":"/a","match":"Host: iam","schedule":"@daily","time":"2026-01-01T00:00:00Z","started":"2026-01-01T00:00:00Z","ended":"2026-01-01T00:00:00.001Z",` +
		`"trigger":"manual","outcome":"ok","status":201,"duration":"1ms","header":{"X-A":["b","c"]},`
	for body, want := range map[string]string{
		"text\n":                       `"body":"text\n","truncated":true}`,
		"caf\xc3":                      `"body":"caf","truncated":true}`,
		"\xff":                         `"body":"","body_base64":"/w==","truncated":true}`,
		"\xff text that goes on":       `"body":"","body_base64":"/yB0ZXh0IHRoYXQgZ29lcyBvbg==","truncated":true}`,
		"":                             `"body":"","truncated":true}`,
		strings.Repeat("\x80", 5) + "": `"body":"","body_base64":"gICAgIA=","truncated":true}`,
	} {
		handler.answer.Body = []byte(body)
		a := st.post("/services/trigger?prefix=a&match=host:iam&schedule=%40daily", "", "")
		require.Equal(t, http.StatusOK, a.status, a.body)
		require.Equal(t, begin+want, strings.TrimSpace(a.body), "%q", body)
		require.Equal(t, "/a Host: iam|@daily", handler.asked)
	}
	st.post("/services/trigger?prefix=a&schedule=busy", "", "").problem(t, problem.Conflict)
	st.post("/services/trigger", "", "").problem(t, problem.BadRequest)
	st.post("/services/trigger?prefix=a&surprise=1", "", "").problem(t, problem.BadRequest)
	st.post("/services/trigger?prefix=a", "text/plain", "body").problem(t, problem.BadRequest)
	require.Equal(t, http.StatusMethodNotAllowed, st.get("/services/trigger?prefix=a").status)

	without := start(t, setup{})
	without.post("/services/trigger?prefix=a", "", "").problem(t, problem.NotReady)
	guarded := start(t, setup{schedules: handler, admin: admin.Config{Token: "secret"}})
	guarded.post("/services/trigger?prefix=a", "", "").problem(t, problem.Unauthorized)
}

// TestSchedulesAreFields sends schedules in each form of a request.
func TestSchedulesAreFields(t *testing.T) {
	st := start(t, setup{})
	raw := st.post("/services/add?prefix=a&cron=%40daily&cron=*/5+*+*+*+*+POST+/x&cron_grace=10m", "application/wasm", magic+"one")
	require.Equal(t, http.StatusCreated, raw.status, raw.body)
	require.Contains(t, raw.body, `"options":{"cron":["@daily","*/5 * * * * POST /x"],"cron_grace":"10m0s"}`)
	kept := st.post("/services/add?prefix=a&timeout=1s", "application/wasm", magic+"two")
	require.Contains(t, kept.body, `"kept":["cron: @daily, */5 * * * * POST /x","cron_grace: 10m0s"]`)
	other := st.post("/services/add", "application/json", `{"prefix":"a","upstream":["http://127.0.0.1:1"]}`)
	require.Contains(t, other.body, `"cron":["@daily","*/5 * * * * POST /x"]`, "another kind has them, too")
	gone := st.post("/services/add", "application/json", `{"prefix":"a","upstream":["http://127.0.0.1:1"],"cron":[]}`)
	require.Contains(t, gone.body, `cron: @daily, */5 * * * * POST /x -> none`)
	p := st.post("/services/add", "application/json", `{"prefix":"a","upstream":["ftp://x"],"cron":["@often","* * * *"]}`).problem(t, problem.BadRequest)
	require.Equal(t, []string{"cron", "cron", "upstream"}, p.Fields)
}
