package queue_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services/kinds/queue"
	"github.com/vespo-dev/vespo/services/servicetest"
)

func TestListenerIsThereForQueues(t *testing.T) {
	opened := 0
	h := newHouse(t, t.TempDir(), func(c *queue.Config) {
		listen := c.Listen
		c.Listen = func(ctx context.Context) (net.Listener, error) {
			opened++
			return listen(ctx)
		}
	})
	require.Zero(t, opened)
	at := h.add("/a", queue.Document{})
	require.Equal(t, at, h.add("/b", queue.Document{}))
	require.NoError(t, h.Remove(t.Context(), routekey.MustParse("/a")))
	require.Equal(t, at, h.add("/b", queue.Document{Depth: 2}))
	require.Equal(t, 1, opened)
	require.NoError(t, h.Remove(t.Context(), routekey.MustParse("/b")))
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(at, "http://"))
		if err == nil {
			conn.Close()
		}
		return err != nil
	}, servicetest.HangTimeout, time.Millisecond, "closed with the last")
	h.add("/a", queue.Document{})
	require.Equal(t, 2, opened)
}

func TestListenerCannotBeOpened(t *testing.T) {
	h := newHouse(t, t.TempDir(), func(c *queue.Config) {
		c.Listen = func(context.Context) (net.Listener, error) { return nil, errors.New("127.0.0.1:4242 is in use") }
	})
	_, err := h.Add(t.Context(), spec("/jobs", queue.Document{}))
	require.ErrorContains(t, err, "127.0.0.1:4242 is in use")
	require.Equal(t, problem.Conflict, problem.From(err).Kind())
	require.Empty(t, h.List())
}

func TestPublicListenerNeedsAToken(t *testing.T) {
	public := func(ctx context.Context) (net.Listener, error) {
		return new(net.ListenConfig).Listen(ctx, "tcp", "0.0.0.0:0")
	}
	h := newHouse(t, t.TempDir(), func(c *queue.Config) { c.Listen = public })
	_, err := h.Add(t.Context(), spec("/jobs", queue.Document{}))
	require.ErrorContains(t, err, "--worker-token")
	require.Empty(t, h.List())

	h = newHouse(t, t.TempDir(), func(c *queue.Config) { c.Listen, c.Token = public, "secret" })
	at := h.add("/jobs", queue.Document{})
	at = "http://127.0.0.1:" + at[strings.LastIndex(at, ":")+1:]
	a := h.do("POST", at+"/api/v1/jobs/response", reply("x", 200, ""))
	require.Equal(t, http.StatusUnauthorized, a.StatusCode)
	require.NotEmpty(t, a.Header.Get("WWW-Authenticate"))
	a = h.do("POST", at+"/api/v1/jobs/response", reply("x", 200, ""), "Authorization: Bearer secret", "Host: example.com")
	require.Equal(t, http.StatusNotFound, a.StatusCode)
}

// TestBrowsersAreNoWorkers checks the requests that a web page could make a browser on this machine send.
func TestBrowsersAreNoWorkers(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	at := h.add("/jobs", queue.Document{Default: true})
	asked := h.ask("POST", "/jobs", "x")
	h.awaitStatus("/jobs", 1, 0)
	for _, header := range []string{"Sec-Fetch-Site: cross-site", "Origin: https://example.com", "Host: evil.example.com", "X-Forwarded-For: 192.0.2.1"} {
		a := h.do("GET", at+"/api/v1/request", "", header)
		require.Equal(t, http.StatusForbidden, a.StatusCode, header)
		require.Contains(t, a.Body, `"error"`)
	}
	got := h.take(at + "/api/v1/request")
	require.Equal(t, 200, h.do("POST", at+"/api/v1/response", reply(got.Identifier, 200, "")).StatusCode)
	<-asked
}
