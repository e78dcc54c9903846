package deploy

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
)

// atATime returns the spec of a text at /a that serves n requests at a time; 0: as many as the server allows.
func atATime(text string, n int) services.Spec {
	s := spec(routekey.MustParse("/a"), text)
	if n != 0 {
		s.Manifest = registry.Manifest(fmt.Sprintf(`{"concurrency":%d}`, n))
	}
	return s
}

// requireAtATime waits for numbers of requests of /a in flight and in the queue.
func (h *house) requireAtATime(inFlight, queued int) {
	h.t.Helper()
	require.Eventually(h.t, func() bool {
		e, err := h.Inspect(routekey.MustParse("/a"))
		return err == nil && e.Admission.InFlight == inFlight && e.Admission.Queued == queued
	}, 5*time.Second, time.Millisecond, "%d in flight and %d waiting", inFlight, queued)
}

func TestConcurrencyIsThatOfTheCurrentVersion(t *testing.T) {
	h := booted(t, t.TempDir(), nil)
	ctx, a := t.Context(), routekey.MustParse("/a")
	deploy := func(s services.Spec) {
		t.Helper()
		_, err := h.Add(ctx, s)
		require.NoError(t, err)
	}
	deploy(atATime("one", 2))
	for range 4 {
		go h.get("/a?wait") // ends when hold is closed
	}
	h.requireAtATime(2, 2)
	deploy(atATime("two", 3))
	h.requireAtATime(3, 1)

	deploy(atATime("three", 1))
	go h.get("/a?wait")    // ends when hold is closed
	h.requireAtATime(3, 2) // nothing is stopped
	h.kind.failAt("prepare", func(context.Context) error { return errInjected })
	_, err := h.Add(ctx, atATime("four", 20))
	require.Error(t, err)
	h.kind.failAt("", nil)
	h.store.failAt("Commit", errInjected)
	_, err = h.Add(ctx, atATime("five", 20))
	require.ErrorIs(t, err, errInjected)
	h.store.failAt("", nil)
	h.requireAtATime(3, 2) // a deploy that fails changes nothing

	_, err = h.Rollback(ctx, a)
	require.NoError(t, err)
	h.requireAtATime(3, 2)
	deploy(atATime("six", 0))
	h.requireAtATime(5, 0)
	close(h.kind.hold)
	h.requireAtATime(0, 0)
}

// TestVersionsOfOtherWeightsHaveTheLimitOfTheCurrentOne has versions beside the current one whose requests weigh more.
func TestVersionsOfOtherWeightsHaveTheLimitOfTheCurrentOne(t *testing.T) {
	dir := t.TempDir()
	h, _ := withLayers(t, dir)
	ctx, a := t.Context(), routekey.MustParse("/a")
	behind := chained("one", "middleware ")
	behind.Manifest = atATime("", 9).Manifest
	for _, s := range []services.Spec{behind, atATime("two", 2), atATime("three", 4)} {
		_, err := h.Add(ctx, s)
		require.NoError(t, err)
	}
	limits := func() (most []int) {
		for _, l := range h.placementAt(a).all {
			most = append(most, l.limiter.Stats().Most)
		}
		return most
	}
	split := registry.Split{Arms: []registry.Arm{{Number: 1, Weight: 500}, {Number: 3, Weight: 500}}}
	_, err := h.Split(ctx, a, split)
	require.NoError(t, err)
	require.Equal(t, []int{4, 4}, limits())
	h.end()
	h, _ = withLayers(t, dir)
	require.Equal(t, []int{4, 4}, limits())
	_, err = h.Split(ctx, a, registry.Split{Arms: []registry.Arm{{Number: 1, Weight: registry.Whole}}})
	require.NoError(t, err)
	require.Equal(t, []int{9}, limits())
}

func TestConcurrencyHoldsAfterARestart(t *testing.T) {
	dir := t.TempDir()
	h := booted(t, dir, nil)
	_, err := h.Add(t.Context(), atATime("one", 32))
	require.NoError(t, err)
	h.end()
	h = booted(t, dir, func(c *Config) { c.Limits.Concurrency = 3 })
	for range 4 {
		go h.get("/a?wait") // ends when hold is closed
	}
	h.requireAtATime(3, 1) // the server's own limit, which is lower now
	_, err = h.Add(t.Context(), atATime("two", 2))
	require.NoError(t, err)
	close(h.kind.hold)
	h.requireAtATime(0, 0)
	h.end()
	h = booted(t, dir, func(c *Config) { c.Limits.Concurrency = 3 })
	for range 4 {
		go h.get("/a?wait") // ends when hold is closed
	}
	h.requireAtATime(2, 2)
	close(h.kind.hold)
	h.requireAtATime(0, 0)
}

func TestConcurrencyIsChecked(t *testing.T) {
	h := booted(t, t.TempDir(), nil)
	behind := func(n int) services.Spec {
		s := chained("one", "middleware")
		s.Manifest = atATime("", n).Manifest
		return s
	}
	for name, c := range map[string]struct {
		spec services.Spec
		want string
	}{
		"most":            {spec: atATime("one", 32)},
		"too many":        {atATime("one", 33), "concurrency is 33: it must be from 1 to 32, the most requests of such a service that this server serves at a time"},
		"negative":        {atATime("one", -1), "concurrency is -1: it must be from 1 to 32, the most requests of such a service that this server serves at a time"},
		"with middleware": {behind(17), "concurrency is 17: it must be from 1 to 16, the most requests of such a service that this server serves at a time"},
	} {
		err := h.Validate(c.spec)
		var p *problem.Problem
		switch {
		case c.want == "":
			require.NoError(t, err, name)
		case errors.As(err, &p):
			require.Contains(t, problem.Texts(p.Violations), c.want, name)
		default:
			t.Errorf("%s: %v", name, err)
		}
	}
}
