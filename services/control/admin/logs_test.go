package admin_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/observe/journal"
)

// logStack is a stack with the log of its services.
type logStack struct {
	*stack
	journal *journal.Journal
	log     *slog.Logger
}

func startLogs(t *testing.T, cfg admin.Config) *logStack {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	j, err := journal.Open(journal.Config{Dir: t.TempDir(), ServiceBytes: 1 << 20, TotalBytes: 1 << 20, Log: quiet})
	require.NoError(t, err)
	cfg.Logs = j
	st := &logStack{journal: j, log: slog.New(j.Handler(quiet.Handler()))}
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { j.Run(ctx, func() map[string]bool { return nil }) })
	st.stack = start(t, setup{admin: cfg})
	t.Cleanup(func() {
		cancel()
		run.Wait()
		require.NoError(t, j.Close())
	})
	require.Equal(t, http.StatusCreated, st.add("a", "one").status)
	require.Equal(t, http.StatusCreated, st.add("b", "two").status)
	return st
}

// print prints a line as a guest.
func (st *logStack) print(service, id, line string) {
	st.log.Info(accesslog.MessageGuest, "service", service, "request_id", id, "line", line)
}

// event is a server-sent event.
type event struct{ id, name, data string }

// eventStream is an open stream of events.
type eventStream struct {
	t    *testing.T
	resp *http.Response
	in   *bufio.Scanner
}

func (st *logStack) open(query, last string) *eventStream {
	st.t.Helper()
	r, err := http.NewRequestWithContext(st.t.Context(), http.MethodGet, st.URL+"/services/logs"+query, nil)
	require.NoError(st.t, err)
	r.Header.Set("Last-Event-ID", last)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(st.t, err)
	require.Equal(st.t, http.StatusOK, resp.StatusCode)
	require.Equal(st.t, "text/event-stream", resp.Header.Get("Content-Type"))
	st.t.Cleanup(func() { _ = resp.Body.Close() })
	in := bufio.NewScanner(resp.Body)
	in.Buffer(nil, 1<<20)
	return &eventStream{t: st.t, resp: resp, in: in}
}

// next returns the next event, or false at the end.
func (s *eventStream) next() (e event, ok bool) {
	for s.in.Scan() {
		field, value, _ := strings.Cut(s.in.Text(), ": ")
		switch field {
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data = value
		case "":
			if e.data != "" {
				return e, true
			}
		}
	}
	return event{}, false
}

func TestLogs(t *testing.T) {
	st := startLogs(t, admin.Config{})
	st.print("/a", "1", "first")
	st.print("/b", "2", "second")
	st.log.Warn("third", "prefix", "/a")
	for query, want := range map[string][]string{
		"":                            {"first", "second", "third"},
		"?prefix=a":                   {"first", "third"},
		"?id=2":                       {"second"},
		"?level=warn":                 {"third"},
		"?failed=true":                nil,
		"?since=1h":                   {"first", "second", "third"},
		"?since=7d":                   {"first", "second", "third"},
		"?since=2100-01-01":           nil,
		"?since=2100-01-01T00:00:00Z": nil,
	} {
		s := st.open(query, "")
		var got []string
		for e, ok := s.next(); ok && e.name == ""; e, ok = s.next() {
			require.NotEmpty(t, e.id)
			require.Contains(t, e.data, `"n":`+e.id)
			for _, text := range []string{"first", "second", "third"} {
				if strings.Contains(e.data, `"text":"`+text+`"`) {
					got = append(got, text)
				}
			}
		}
		require.Equal(t, want, got, query)
	}
	s := st.open("?limit=1", "")
	e, _ := s.next()
	require.Equal(t, "more", e.name)
	e, _ = s.next()
	require.Contains(t, e.data, "third")
	e, _ = s.next()
	require.Equal(t, "end", e.name)
	_, ok := s.next()
	require.False(t, ok)
}

// A follower gets history and what comes, and goes on with the id of its last event.
func TestLogsAreFollowed(t *testing.T) {
	st := startLogs(t, admin.Config{})
	st.print("/a", "", "0")
	s := st.open("?follow=true&prefix=a", "")
	last := ""
	for i := range 20 {
		e, ok := s.next()
		require.True(t, ok)
		require.Contains(t, e.data, fmt.Sprintf(`"text":"%d"`, i))
		last = e.id
		st.print("/b", "", "not asked for")
		st.print("/a", "", fmt.Sprint(i+1))
	}
	require.NoError(t, s.resp.Body.Close())
	s = st.open("?follow=true&prefix=a", last)
	e, ok := s.next()
	require.True(t, ok)
	require.Contains(t, e.data, `"text":"20"`)
	st.journal.StopFollowers()
	e, _ = s.next()
	require.Equal(t, "end", e.name)
	_, ok = s.next()
	require.False(t, ok)
}

func TestFollowersAreBounded(t *testing.T) {
	st := startLogs(t, admin.Config{MaxLogReaders: 2})
	st.print("/a", "", "x")
	for range 2 {
		_, ok := st.open("?follow=true", "").next()
		require.True(t, ok)
	}
	require.Equal(t, http.StatusServiceUnavailable, st.get("/services/logs").status)
	require.Equal(t, http.StatusOK, st.get("/services/list").status)
}

func TestLogsAreRefused(t *testing.T) {
	require.Equal(t, http.StatusUnauthorized, start(t, setup{admin: admin.Config{Token: "secret"}}).get("/services/logs").status)
	open := startLogs(t, admin.Config{})
	for query, want := range map[string]problem.Kind{
		"?prefix=nothing":                 problem.NotFound,
		"?level=loud":                     problem.BadRequest,
		"?since=yesterday":                problem.BadRequest,
		"?since=-5m":                      problem.BadRequest,
		"?since=5":                        problem.BadRequest,
		"?limit=10001":                    problem.BadRequest,
		"?limit=x":                        problem.BadRequest,
		"?follow=maybe":                   problem.BadRequest,
		"?other=1":                        problem.BadRequest,
		"?id=" + strings.Repeat("x", 300): problem.BadRequest,
	} {
		require.Equal(t, want.Status(), open.get("/services/logs"+query).status, query)
	}
	none := start(t, setup{})
	require.Equal(t, http.StatusNotFound, none.get("/services/logs").status)
}
