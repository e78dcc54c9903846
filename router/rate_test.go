package router

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/router/forwarded"
	"github.com/vespo-dev/vespo/router/ratelimit"
)

// limited returns a binding with a limit of burst requests.
func limited(p ratelimit.Policy) Binding {
	b := binding("/limited", say("ok"))
	b.Rate = ratelimit.New(p, nil)
	return b
}

func TestRequestsBeyondTheRate(t *testing.T) {
	b := limited(ratelimit.Policy{Period: 90 * time.Second, Burst: 2})
	b.Limiter = admission.NewGate(1).NewLimiter(admission.Limits{Concurrency: 1})
	h := newHouse(t, Config{}, b, binding("/other", say("ok")))
	for range 2 {
		answer, _ := h.do("GET", "/limited", nil)
		require.Equal(t, http.StatusOK, answer.StatusCode)
		require.Equal(t, accesslog.OutcomeOK, h.record().Outcome)
	}
	for range 3 {
		answer, body := h.do("POST", "/limited", strings.NewReader(strings.Repeat("x", 1000)))
		detail, rec := h.requireProblem(problem.TooManyRequests, answer, body)
		require.Equal(t, "this client has sent too many requests to the service; try again later", detail)
		require.Equal(t, accesslog.OutcomeRateLimited, rec.Outcome)
		require.Equal(t, "/limited", rec.Prefix)
		seconds, err := strconv.Atoi(answer.Header.Get("Retry-After"))
		require.NoError(t, err)
		require.LessOrEqual(t, seconds, 90)
		require.Positive(t, seconds)
	}
	answer, _ := h.do("GET", "/other", nil)
	require.Equal(t, http.StatusOK, answer.StatusCode)
	h.record()
}

// TestRateTakesNoPlace fills a service, and expects that a request beyond the rate does not wait for a place.
func TestRateTakesNoPlace(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	b := limited(ratelimit.Policy{Period: time.Hour, Burst: 1})
	b.Limiter = admission.NewGate(1).NewLimiter(admission.Limits{Concurrency: 1, Queue: 1, Wait: time.Hour})
	b.Handler = HandlerFunc(func(http.ResponseWriter, *Request, *accesslog.Result) error {
		close(begun)
		<-end
		return nil
	})
	h := newHouse(t, Config{}, b)
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.do("GET", "/limited", nil)
	}()
	<-begun
	answer, body := h.do("GET", "/limited", nil)
	h.requireProblem(problem.TooManyRequests, answer, body)
	close(end)
	<-done
}

func TestRateByHeader(t *testing.T) {
	h := newHouse(t, Config{}, limited(ratelimit.Policy{Period: time.Hour, Burst: 1, By: ratelimit.ByHeader, Header: "X-Api-Key"}))
	get := func(key string) int {
		r, err := http.NewRequestWithContext(t.Context(), "GET", h.server.URL+"/limited", nil)
		require.NoError(t, err)
		if key != "" {
			r.Header.Set("x-api-key", key)
		}
		answer, err := h.server.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		h.record()
		return answer.StatusCode
	}
	for _, key := range []string{"a", "b", ""} {
		require.Equal(t, http.StatusOK, get(key), key)
		require.Equal(t, http.StatusTooManyRequests, get(key), key)
	}
}

func TestRateByAddress(t *testing.T) {
	trust, err := forwarded.ParseTrust([]string{"127.0.0.1"})
	require.NoError(t, err)
	h := newHouse(t, Config{Trust: trust}, limited(ratelimit.Policy{Period: time.Hour, Burst: 1}))
	get := func(client string) int {
		answer, _ := h.raw("GET", "GET /limited HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: "+client+"\r\nConnection: close\r\n\r\n")
		h.record()
		return answer.StatusCode
	}
	require.Equal(t, http.StatusOK, get("192.0.2.1"))
	require.Equal(t, http.StatusTooManyRequests, get("192.0.2.1"))
	require.Equal(t, http.StatusTooManyRequests, get("203.0.113.9, 192.0.2.1"), "clients can send addresses of others")
	require.Equal(t, http.StatusOK, get("192.0.2.2"))
	require.Equal(t, http.StatusOK, get("2001:db8:0:1::1"))
	require.Equal(t, http.StatusTooManyRequests, get("2001:db8:0:1:ffff::2"))
	require.Equal(t, http.StatusOK, get("2001:db8:0:2::1"))
}

// TestOwnRequestsAreNotCounted sends requests of the server itself, beyond the rate.
func TestOwnRequestsAreNotCounted(t *testing.T) {
	h := newHouse(t, Config{}, limited(ratelimit.Policy{Period: time.Hour, Burst: 1, By: ratelimit.ByService}))
	for range 3 {
		r, err := http.NewRequestWithContext(context.Background(), "GET", "/limited", nil)
		require.NoError(t, err)
		require.NoError(t, h.Dispatch("/limited", discard{http.Header{}}, r, nil))
		h.record()
	}
	answer, _ := h.do("GET", "/limited", nil)
	require.Equal(t, http.StatusOK, answer.StatusCode)
	h.record()
	answer, body := h.do("GET", "/limited", nil)
	detail, _ := h.requireProblem(problem.TooManyRequests, answer, body)
	require.Equal(t, "there are too many requests to the service; try again later", detail)
}

// TestRequestOfARetiredRouteIsCountedOnce lets a route give its request back to a newer table, with the same limit.
func TestRequestOfARetiredRouteIsCountedOnce(t *testing.T) {
	b := limited(ratelimit.Policy{Period: time.Hour, Burst: 1, By: ratelimit.ByService})
	newer := b
	var h *house
	b.Handler = HandlerFunc(func(http.ResponseWriter, *Request, *accesslog.Result) error {
		h.publish(newer)
		return ErrAgain
	})
	h = newHouse(t, Config{}, b)
	for _, want := range []int{http.StatusOK, http.StatusTooManyRequests} {
		answer, _ := h.do("GET", "/limited", nil)
		require.Equal(t, want, answer.StatusCode)
		h.record()
	}
}
