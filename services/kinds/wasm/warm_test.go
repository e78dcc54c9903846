package wasm_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

const twoRequests = "# comment\nGET /hello/world\n\n### second\nPOST /upper HTTP/1.1\nX-Any: 1\n\nsome text\n"

// TestWarm tests that requests before the snapshot are in its state, once, in all instances, and after an eviction.
func TestWarm(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 2})
	s.add("/cold", guests.Go(t, "gonethttp"))
	require.Equal(t, "1\n", s.get("/cold/hits").Body)
	d := s.add("/warm", guests.Go(t, "gonethttp"), servicetest.WithWarm(twoRequests), servicetest.WithWorkLimit(1_000_000))
	for range 3 {
		require.Equal(t, "3\n", s.get("/warm/hits").Body)
	}
	evict(t, d)
	require.Equal(t, "3\n", s.get("/warm/hits").Body)

	s.add("/component", guests.Wat(t, "p2echo"), servicetest.WithWarm("POST /\n\nbody\n###\nGET /\n"))
	for range 2 {
		a := s.do("POST", "/component", "echo")
		require.Equal(t, "echo", a.Body)
		require.Equal(t, "3", a.Header.Get("X-Count"))
	}
}

// TestWarmHasNoEffects tests that requests before the snapshot neither make calls nor write to stores.
func TestWarmHasNoEffects(t *testing.T) {
	called := 0
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called++ }))
	defer upstream.Close()
	s := newServer(t, wasm.Config{KeyValue: newStores(t)})
	err := s.refused("/kv", guests.SDK(t, "key-value"), servicetest.WithKV("notes"), servicetest.WithWarm("PUT /notes/x\n\ntext"))
	require.Contains(t, warmViolation(t, err), "request 1 (PUT /notes/x) is answered with status 50")
	s.add("/kv", guests.SDK(t, "key-value"), servicetest.WithKV("notes"), servicetest.WithWarm("GET /notes/x"))
	require.Equal(t, 404, s.get("/kv/notes/x").StatusCode)

	options := []servicetest.Option{servicetest.WithAllow(upstream.URL), servicetest.WithConfig(map[string]string{"upstream": upstream.URL})}
	_, err = s.Add(t.Context(), module("/out", guests.SDK(t, "fetch"), append(options, servicetest.WithWarm("GET /"))...))
	if err != nil {
		require.Contains(t, warmViolation(t, err), "is answered")
	}
	require.Zero(t, called)
}

// TestWarmThatFails tests that the deploy fails with the reason, and changes nothing.
func TestWarmThatFails(t *testing.T) {
	s := newServer(t, wasm.Config{InitTimeout: time.Second})
	fault, gocgi := guests.SDK(t, "fault"), guests.Go(t, "gocgi")
	s.add("/x", guests.Wat(t, "hello"))
	for _, c := range []struct {
		module  []byte
		warm    string
		reason  string
		options []servicetest.Option
	}{
		{fault, "GET /\n###\nGET /panic", "request 2 (GET /panic) ends with: exit", nil},
		{fault, "GET /memory", "request 1 (GET /memory) ends with: out of memory", nil},
		{guests.Wat(t, "spin"), "GET /loop", "request 1 (GET /loop) has not ended after 50ms", []servicetest.Option{servicetest.WithTimeout(50 * time.Millisecond)}},
		{guests.Wat(t, "spin"), "GET /loop", "request 1 (GET /loop) has not ended after 1s", nil},
		{fault, "GET /", "there is no snapshot", []servicetest.Option{servicetest.WithIsolation("fresh")}},
		{gocgi, "GET /", "ends with its request", nil},
		{fault, "GET", "has a request 1 that is not valid", nil},
	} {
		text := warmViolation(t, s.refused("/x", c.module, append(c.options, servicetest.WithWarm(c.warm))...))
		require.Contains(t, text, c.reason, c.warm)
		require.Contains(t, s.get("/x").Body, "hello", "the version before is served")
	}
	err := s.refused("/x", guests.Wat(t, "token"), servicetest.WithWarm("GET /"))
	require.Contains(t, problem.From(err).Violations[0].Text, "cannot be warmed up, because each request gets a new instance")
}

// warmViolation returns the only violation of a refused deploy, which is about the field warm.
func warmViolation(t *testing.T, err error) string {
	t.Helper()
	p := problem.From(err)
	require.Equal(t, http.StatusUnprocessableEntity, p.Status, "%v", err)
	require.Len(t, p.Violations, 1, "%v", err)
	require.Equal(t, "warm", p.Violations[0].Field)
	return p.Violations[0].Text
}
