package scheduler

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/services/event/invocation"
)

// The clock of a bubble begins at midnight UTC of 1 January 2000, a Saturday.

// pass lets time pass, and what is due at its end happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func hello() routekey.Key { return routekey.MustParse("/hello") }

func TestSchedulesRunAtTheirTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy("/hello", "*/10 * * * * POST /tick?a=b", "0 1 * * *")
		w.deploy("/", "30 0 * * * GET /")
		s, end := w.begin(Config{})
		pass(61 * time.Minute)
		require.Equal(t, []string{
			"00:10:00 /hello POST /hello/tick?a=b",
			"00:20:00 /hello POST /hello/tick?a=b",
			"00:30:00 / GET /",
			"00:30:00 /hello POST /hello/tick?a=b",
			"00:40:00 /hello POST /hello/tick?a=b",
			"00:50:00 /hello POST /hello/tick?a=b",
			"01:00:00 /hello POST /hello/",
			"01:00:00 /hello POST /hello/tick?a=b",
		}, sorted(w.requests()))
		status := s.Status(hello())
		require.Len(t, status, 2)
		require.Equal(t, Counts{Runs: 6}, status[0].Counts)
		require.Equal(t, "01:10", status[0].Next.Format("15:04"))
		last := status[0].Last
		require.Equal(t, []any{TriggerSchedule, OutcomeOK, 204}, []any{last.Trigger, last.Outcome, last.Status})
		require.Equal(t, Stats{Schedules: 3}, s.Stats())
		end()
	})
}

func TestWhatServicesSee(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var seen []string
		w.serve = func(own router.Own, _ http.ResponseWriter, r *http.Request) error {
			body, err := io.ReadAll(r.Body)
			call := invocation.Of(own.Call)
			seen = append(seen, fmt.Sprint(own.Key, " ", r.RemoteAddr, " ", r.UserAgent(), " ", own.Header, " ", r.ContentLength, " ", call != nil))
			if call != nil {
				require.Contains(t, string(body), `"id":"`+call.RequestID+`"`)
				require.Contains(t, string(body), `"source":"aws.events"`)
				require.Contains(t, string(body), `"time":"2000-01-01T00:01:00Z"`)
				require.Contains(t, string(body), `"detail":{"cron":"* * * * *"}`)
				require.Contains(t, string(body), `"resources":["arn:aws:events:us-east-1:000000000000:rule/fn"]`)
				require.Equal(t, "arn:aws:lambda:us-east-1:000000000000:function:fn", call.FunctionARN)
			} else {
				require.Empty(t, body)
			}
			return err
		}
		w.deploy("/hello Host: iam", "CRON_TZ=UTC * * * * *")
		s, end := w.begin(Config{Runs: 1})
		pass(time.Minute)
		w.deploy("/hello Host: iam")
		w.deployKind("function", "/fn", nil, "* * * * *")
		s2 := s.Status(routekey.MustParse("/fn"))
		require.Len(t, s2, 1)
		end()
		_, err := s.Trigger(t.Context(), routekey.MustParse("/fn"), "")
		require.Equal(t, problem.NotReady, problem.From(err).Kind())
		require.Equal(t, []string{"/hello Host: iam vespo:schedule vespo-schedule map[Vespo-Schedule:[CRON_TZ=UTC * * * * *] Vespo-Schedule-Time:[2000-01-01T00:01:00Z]] 0 false"}, seen)
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var calls atomic.Int32
		w.serve = func(own router.Own, _ http.ResponseWriter, r *http.Request) error {
			body, err := io.ReadAll(r.Body)
			calls.Add(1)
			if r.RequestURI == "/fn" {
				require.Contains(t, string(body), `"detail-type":"Scheduled Event"`)
				require.NotNil(t, invocation.Of(own.Call))
				return &invocation.Error{Type: "Boom", Message: "no luck"}
			}
			require.Nil(t, own.Call, "a request stays one")
			require.Equal(t, "/fn/x", r.RequestURI)
			return err
		}
		w.deployKind("function", "/fn", nil, "* * * * *", "* * * * * GET /x")
		s, end := w.begin(Config{})
		pass(time.Minute)
		end()
		require.EqualValues(t, 2, calls.Load())
		last := s.Status(routekey.MustParse("/fn"))[0].Last
		require.Equal(t, []any{OutcomeFailed, 502, "Boom: no luck"}, []any{last.Outcome, last.Status, last.Detail})
	})
}

func TestOneRunAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.slow(150 * time.Second)
		w.deploy("/hello", "* * * * *")
		s, end := w.begin(Config{})
		pass(2*time.Minute + time.Second)
		require.Equal(t, "00:01:00", clock(w.requests()))
		status := s.Status(hello())[0]
		require.True(t, status.Running)
		require.Equal(t, Counts{Runs: 1, Skipped: 1}, status.Counts)
		require.Equal(t, OutcomeRunning, status.Last.Outcome)
		_, err := s.Trigger(t.Context(), hello(), "")
		require.Equal(t, problem.Conflict, problem.From(err).Kind())
		pass(3 * time.Minute)
		require.Equal(t, "00:04:00", clock(w.requests()), "the run ended at 00:03:30")
		end()
	})
}

func TestSchedulesOfAMinuteDoNotStartAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.slow(time.Second)
		for i := range 100 {
			w.deploy(fmt.Sprintf("/s%02d", i), "0 * * * *")
		}
		var many []string
		for i := range 20 {
			many = append(many, fmt.Sprintf("0 * * * * GET /%d", i))
		}
		w.deploy("/many", many...)
		s, end := w.begin(Config{Runs: 10})
		time.Sleep(time.Hour - time.Second)
		w.requests()
		for range 13 {
			pass(time.Second)
			started := w.requests()
			require.LessOrEqual(t, len(started), 10)
			require.LessOrEqual(t, strings.Count(fmt.Sprint(started), "/many/"), maxPerService)
			require.LessOrEqual(t, s.Stats().Running, 10)
		}
		require.Zero(t, s.Stats().Waiting)
		pass(time.Second)
		for _, status := range s.Status(routekey.MustParse("/many")) {
			require.Equal(t, Counts{Runs: 1}, status.Counts)
		}
		end()
	})
}

func TestReplacedAndRemovedSchedulesStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.slow(90 * time.Second)
		w.deploy("/hello", "* * * * *", "30 * * * *")
		s, end := w.begin(Config{})
		pass(61 * time.Second)
		w.deploy("/hello", "*/2 * * * *", "30 * * * *", "* * * * *")
		require.Equal(t, uint64(1), s.Status(hello())[2].Runs, "what stays keeps its runs")
		pass(60 * time.Second)
		require.Equal(t, "00:01:00 00:02:00", clock(w.requests()), "one goes on, and another one is new")
		w.deploy("/hello")
		require.Nil(t, s.Status(hello()))
		pass(10 * time.Minute)
		require.Empty(t, w.requests())
		require.Equal(t, Stats{}, s.Stats())
		w.deploy("/hello", "* * * * *")
		require.Zero(t, s.Status(hello())[0].Runs, "a service of the same name is another one")
		end()
	})
}

// A service can be removed, and another one have its name, while its schedules wait for their turn.
func TestSchedulesThatWaitAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.slow(30 * time.Second)
		w.deploy("/a", "* * * * *")
		w.deploy("/b", "1 * * * *")
		_, end := w.begin(Config{Runs: 1})
		pass(time.Minute)
		w.deploy("/b")
		synctest.Wait()
		w.deploy("/b", "1 * * * *")
		pass(31 * time.Second)
		require.Equal(t, []string{"00:01:00 /a POST /a/"}, w.requests())
		end()
	})
}

func TestTimesDuringAStop(t *testing.T) {
	for name, c := range map[string]struct {
		stop  time.Duration
		grace string
		want  string
		count Counts
	}{
		"none":             {30 * time.Second, "1h0m0s", "00:20:00", Counts{Runs: 2}},
		"one":              {10 * time.Minute, "1h0m0s", "00:22:00 00:30:00", Counts{Runs: 3}},
		"the latest":       {45 * time.Minute, "1h0m0s", "00:57:00 01:00:00", Counts{Runs: 3, Missed: 3}},
		"beyond the grace": {15 * time.Minute, "5m0s", "00:30:00", Counts{Runs: 2, Missed: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.deployKind("wasm", "/hello", map[string]any{"cron_grace": c.grace}, "*/10 * * * *")
				_, end := w.begin(Config{})
				pass(12 * time.Minute)
				end()
				require.Equal(t, "00:10:00", clock(w.requests()))
				pass(c.stop)
				s, end := w.begin(Config{})
				pass(9 * time.Minute)
				require.Equal(t, c.want, clock(w.requests()))
				require.Equal(t, c.count, s.Status(hello())[0].Counts)
				end()
			})
		})
	}
}

// A server that is killed leaves the file as it was. Here, one that goes on takes no more notice of it.
func TestCrashes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.slow(time.Hour)
		w.deploy("/hello", "*/10 * * * *")
		w.deploy("/idle", "5 1 * * *")
		dead := durableCopy{w.fs, t.TempDir()}
		killed, endKilled := w.begin(Config{RunTimeout: time.Minute})
		pass(10*time.Minute + 1)
		require.Equal(t, "00:10:00", clock(w.requests()))
		w.fs = dead.copy(t) // as the machine would find it
		pass(3 * time.Minute)
		require.Equal(t, OutcomeFailed, killed.Status(hello())[0].Last.Outcome)
		endKilled()

		s, end := w.begin(Config{})
		synctest.Wait()
		require.Empty(t, w.requests(), "a run that was interrupted is not repeated")
		status := s.Status(hello())[0]
		require.Equal(t, OutcomeInterrupted, status.Last.Outcome)
		require.Equal(t, "the server ended during the run", status.Last.Detail)
		require.Equal(t, Counts{Runs: 1, Failed: 1}, status.Counts)
		end()
	})
}

// A schedule that is added, and whose first time passes, before anything is stored of it, is known by its deploy.
func TestSchedulesThatNothingIsStoredOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy("/hello", "*/10 * * * *")
		pass(12 * time.Minute)
		_, end := w.begin(Config{})
		synctest.Wait()
		require.Equal(t, "00:12:00", clock(w.requests()))
		end()
	})
}

func TestADamagedFileIsSetAside(t *testing.T) {
	for _, content := range []string{"", "{", `{"format":"other","version":1}`, `{"format":"vespo schedules","version":2}`} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.deploy("/hello", "*/10 * * * *")
			pass(12 * time.Minute)
			dir := t.TempDir()
			copied := durableCopy{w.fs, dir}
			require.NoError(t, os.WriteFile(dir+"/"+stateName, []byte(content), 0o600))
			w.fs = copied.open()
			var log strings.Builder
			_, end := w.begin(Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
			pass(9 * time.Minute)
			require.Equal(t, "00:20:00", clock(w.requests()), "nothing is known of the times before")
			end()
			require.Contains(t, log.String(), "are not made up for")
			require.FileExists(t, dir+"/aside/"+stateName+".1")
		})
	}
}

func TestSchedulesRunWithoutADisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		disk := &fallible{FS: w.fs}
		disk.failing.Store(true)
		w.deploy("/hello", "* * * * *")
		var log strings.Builder
		_, end := w.begin(Config{FS: disk, Log: slog.New(slog.NewTextHandler(&log, nil))})
		pass(3 * time.Minute)
		require.Equal(t, "00:01:00 00:02:00 00:03:00", clock(w.requests()))
		disk.failing.Store(false)
		pass(time.Minute)
		end()
		require.Equal(t, 1, strings.Count(log.String(), "cannot be stored"))
		require.Equal(t, 1, strings.Count(log.String(), "is stored again"))
	})
}

func TestClocksThatAreSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deploy("/hello", "*/10 * * * *")
		s, end := w.begin(Config{})
		pass(11 * time.Minute)
		require.Equal(t, "00:10:00", clock(w.requests()))
		w.step(17 * time.Minute) // it is 00:28 now
		pass(longestNap)
		require.Equal(t, 1, len(w.requests()), "00:20 is made up for")
		require.Equal(t, TriggerLate, s.Status(hello())[0].Last.Trigger)
		w.step(-15 * time.Minute) // it is 00:13 now, and 00:20 has run
		pass(8 * time.Minute)
		require.Empty(t, w.requests())
		pass(9 * time.Minute)
		require.Equal(t, 1, len(w.requests()), "00:30")
		w.step(100 * 24 * time.Hour)
		pass(longestNap)
		require.Equal(t, 1, len(w.requests()))
		w.step(-100 * 24 * time.Hour) // it is about 00:30 again
		pass(longestNap)
		require.Empty(t, w.requests())
		pass(10 * time.Minute)
		require.Equal(t, 1, len(w.requests()), "a clock that was wrong is not waited for")
		end()
	})
}

func TestCloseWaitsForRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.slow(10 * time.Second)
		w.deploy("/hello", "* * * * *")
		s, end := w.begin(Config{})
		pass(time.Minute)
		end()
		require.Equal(t, "00:01:10", time.Now().UTC().Format("15:04:05"))
		require.Equal(t, OutcomeOK, s.Status(hello())[0].Last.Outcome)
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.slow(10 * time.Minute)
		w.deploy("/hello", "* * * * *")
		s, err := Open(Config{Catalogue: w, Dispatcher: w, FS: w.fs, Now: w.now})
		require.NoError(t, err)
		go func() { _, _ = s.Trigger(context.Background(), hello(), "1") }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.NoError(t, s.Close(ctx))
		require.Equal(t, "00:00:01", time.Now().UTC().Format("15:04:05"))
		require.Equal(t, OutcomeFailed, s.Status(hello())[0].Last.Outcome)
	})
}
