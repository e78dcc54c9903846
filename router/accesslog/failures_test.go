package accesslog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func failuresTo(out *bytes.Buffer) Listener {
	return NewFailures(slog.New(slog.NewJSONHandler(out, nil))).Listen
}

func TestFailuresOfServicesAreToldWithTheirReason(t *testing.T) {
	for _, outcome := range []Outcome{OutcomeExit, OutcomeTrap, OutcomeOutOfMemory, OutcomeStackOverflow, OutcomeDeadline, OutcomeWorkLimit, OutcomeBadAnswer, OutcomeUnreachable} {
		var out bytes.Buffer
		failuresTo(&out)(&Record{
			RequestID: "id",
			Service:   "/a",
			Version:   "v",
			Status:    500,
			Method:    "GET",
			URI:       "/a/b",
			Result:    Result{Outcome: outcome, Err: errors.New("unreachable\nat main")},
		})
		var line map[string]any
		require.NoError(t, json.Unmarshal(out.Bytes(), &line))
		delete(line, "time")
		require.Equal(t, map[string]any{"level": "WARN", "msg": MessageFailed, "request_id": "id", "service": "/a", "version": "v",
			"outcome": string(outcome), "status": 500.0, "method": "GET", "uri": "/a/b", "err": "unreachable at main"}, line)
	}
}

func TestWhatIsNoServicesFailureIsNotTold(t *testing.T) {
	var out bytes.Buffer
	listener := failuresTo(&out)
	for _, outcome := range []Outcome{OutcomeOK, OutcomeRefused, OutcomeNotFound, OutcomeNoCapacity, OutcomeNotReady, OutcomeClientGone, OutcomeAborted} {
		listener(&Record{Status: 503, Result: Result{Outcome: outcome}})
	}
	require.Empty(t, out.String())
}

func TestRequestsWithoutAFailureCostNothing(t *testing.T) {
	listener := NewFailures(slog.New(slog.DiscardHandler)).Listen
	rec := full()
	rec.Outcome, rec.Status = OutcomeOK, 200
	require.Zero(t, testing.AllocsPerRun(100, func() { listener(rec) }))
}

// Many failures of one service produce a few lines and a count of suppressed ones, and do
// not suppress those of other services.
func TestFailuresAreBoundedForEachService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		listener := failuresTo(&out)
		storm := func(n int) {
			for range n {
				listener(&Record{Service: "/storm", Result: Result{Outcome: OutcomeTrap}})
			}
		}
		storm(1000)
		require.Equal(t, failureBurst, strings.Count(out.String(), "\n"))
		listener(&Record{Service: "/other", Result: Result{Outcome: OutcomeTrap}})
		require.Equal(t, failureBurst+1, strings.Count(out.String(), "\n"))
		require.NotContains(t, out.String(), FieldSuppressed)

		out.Reset()
		time.Sleep(failureInterval)
		storm(2)
		require.Equal(t, 1, strings.Count(out.String(), "\n"))
		require.Contains(t, out.String(), fmt.Sprintf(`"suppressed":%d`, 1000-failureBurst))

		out.Reset()
		time.Sleep(time.Hour)
		storm(1000)
		require.Equal(t, failureBurst, strings.Count(out.String(), "\n"), "a long calm is worth no more than a burst")
	})
}

func TestFailureStats(t *testing.T) {
	f := NewFailures(slog.New(slog.DiscardHandler))
	for range 100 {
		f.Listen(&Record{Service: "/storm", Result: Result{Outcome: OutcomeTrap}})
		f.Listen(&Record{Service: "/storm", Result: Result{Outcome: OutcomeOK}})
	}
	f.Listen(&Record{Service: "/other", Result: Result{Outcome: OutcomeHostError}})
	require.Equal(t, FailureStats{Services: 1, Logged: failureBurst, Suppressed: 100 - failureBurst, Host: 1}, f.Stats())
}

func TestFailuresOfManyServicesShareABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &Failures{buckets: map[string]*bucket{}}
		for i := range 10 * maxBuckets {
			f.take(fmt.Sprint(i), time.Now())
		}
		require.LessOrEqual(t, len(f.buckets), maxBuckets+1)
		_, ok := f.take("one more", time.Now())
		require.False(t, ok)
		time.Sleep(2 * failureBurst * failureInterval)
		_, ok = f.take("one more", time.Now())
		require.True(t, ok)
		require.Len(t, f.buckets, 1)
	})
}

func TestHostErrorsAreAllTold(t *testing.T) {
	var out bytes.Buffer
	listener := failuresTo(&out)
	for range 100 {
		listener(&Record{RequestID: "id", Result: Result{Outcome: OutcomeHostError}})
	}
	require.Equal(t, 100, strings.Count(out.String(), `"level":"ERROR"`))
}

func TestLackOfTheMachineIsToldApart(t *testing.T) {
	var out bytes.Buffer
	listener := failuresTo(&out)
	for i := range 100 {
		listener(&Record{Service: fmt.Sprint(i), Status: 503, Result: Result{Outcome: OutcomeNoCapacity, Err: fmt.Errorf("dial: %w", syscall.EMFILE)}})
	}
	require.Equal(t, failureBurst, strings.Count(out.String(), "\n"))
	require.Equal(t, failureBurst, strings.Count(out.String(), MessageScarce))
	require.Contains(t, out.String(), `"err":"dial: too many open files"`)
}
