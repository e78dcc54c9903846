package server

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/remote"
)

// ranSchedule is the part of a schedule in the management API that the tests check.
type ranSchedule struct {
	Next string
	Runs int
	Last struct {
		Time, Trigger, Outcome, Detail string
		Status                         int
	}
}

// scheduledServer is a server whose clock stands still unless it is set.
type scheduledServer struct {
	t      *testing.T
	client *remote.Client
	clock  *atomic.Int64 // Unix time
}

func (s *scheduledServer) add(query url.Values) {
	s.t.Helper()
	_, err := s.client.Call(s.t.Context(), http.MethodPost, "/services/add", query, remote.Upload{})
	require.NoError(s.t, err)
}

// set sets the clock, and lets the server look at it, which it does after each change of the catalogue.
func (s *scheduledServer) set(clock string) {
	s.t.Helper()
	now, err := time.Parse(time.RFC3339, clock)
	require.NoError(s.t, err)
	s.clock.Store(now.Unix())
	s.add(url.Values{"prefix": {"clock"}, "redirect": {"/" + now.Format("150405")}})
}

// await returns the schedule of a service after so many runs.
func (s *scheduledServer) await(prefix string, runs int) (ran ranSchedule) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		a, err := s.client.Get(s.t.Context(), "/services/inspect", url.Values{"prefix": {prefix}})
		require.NoError(s.t, err)
		var view struct{ Schedules []ranSchedule }
		require.NoError(s.t, json.Unmarshal(a.Body, &view))
		require.Len(s.t, view.Schedules, 1)
		ran = view.Schedules[0]
		return ran.Runs == runs && ran.Last.Outcome != "running"
	}, time.Minute, time.Millisecond, prefix)
	return ran
}

// TestSchedulesOfAllKinds runs schedules of a real server, whose clock is the test's.
func TestSchedulesOfAllKinds(t *testing.T) {
	received := make(chan *http.Request, 10)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		received <- r
		w.WriteHeader(http.StatusAccepted)
	}))
	defer upstream.Close()
	s := &scheduledServer{t: t, clock: new(atomic.Int64)}
	s.clock.Store(time.Date(2026, 3, 29, 0, 59, 30, 0, time.UTC).Unix())
	now := func() time.Time { return time.Unix(s.clock.Load(), 0) }
	r := runWith(t, func(cfg *Config) { cfg.now = now }, "--timeout=100ms", "--worker-listen=127.0.0.1:0", "--data="+t.TempDir())
	var err error
	s.client, err = remote.NewClient(r.url, "")
	require.NoError(t, err)
	cron := []string{"CRON_TZ=Europe/Berlin 30 2 * * *"} // which the clock of this day does not show
	for prefix, fields := range map[string]url.Values{
		"proxy":    {"upstream": {upstream.URL}},
		"redirect": {"redirect": {"/elsewhere"}},
		"queue":    {"queue": {"true"}, "timeout": {"100ms"}},
		"fn":       {"function": {"true"}},
	} {
		fields["prefix"], fields["cron"] = []string{prefix}, cron
		s.add(fields)
	}
	s.add(url.Values{"prefix": {"late"}, "upstream": {upstream.URL}, "cron": {"0 3 * * * PUT /late?x=y"}, "cron_grace": {"2h"}})
	_, err = s.client.Post(t.Context(), "/services/trigger", url.Values{"prefix": {"hello"}})
	require.ErrorContains(t, err, "has no schedules")

	s.set("2026-03-29T01:00:00Z")
	proxied := s.await("proxy", 1)
	require.Equal(t, "2026-03-30T00:30:00Z", proxied.Next)
	require.Equal(t, []any{"2026-03-29T01:00:00Z", "schedule", "ok", 202}, []any{proxied.Last.Time, proxied.Last.Trigger, proxied.Last.Outcome, proxied.Last.Status})
	got := <-received
	require.Equal(t, "POST /", got.Method+" "+got.RequestURI)
	require.Equal(t, cron, got.Header["Vespo-Schedule"])
	require.Equal(t, []string{"2026-03-29T01:00:00Z"}, got.Header["Vespo-Schedule-Time"])
	require.Equal(t, 307, s.await("redirect", 1).Last.Status)
	require.Equal(t, "failed", s.await("queue", 1).Last.Outcome, "there is no worker")
	fn := s.await("fn", 1).Last
	require.Equal(t, []any{"failed", 503}, []any{fn.Outcome, fn.Status}, fn.Detail)

	s.set("2026-03-29T04:45:00Z")
	late := s.await("late", 1).Last
	require.Equal(t, []any{"2026-03-29T03:00:00Z", "late", "ok"}, []any{late.Time, late.Trigger, late.Outcome})
	got = <-received
	require.Equal(t, "PUT /late?x=y", got.Method+" "+got.RequestURI)

	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/proxy", nil)
	require.NoError(t, err)
	req.Header = http.Header{"Vespo-Schedule": cron, "vespo_schedule": cron}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	got = <-received
	require.NotContains(t, got.Header, "Vespo-Schedule")
	require.NotContains(t, got.Header, "Vespo_schedule")
}
