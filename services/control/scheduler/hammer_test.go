package scheduler

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router"
)

// TestRulesUnderLoad deploys, triggers, inspects, sets the clock and restarts at random, and checks the two rules that
// hold whatever happens: a schedule has one run at a time, and a time does not run twice. They hold as long as no version
// is without the schedule: one that is added again is a new one.
func TestRulesUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ran := make(map[string]bool)
		w := newWorld(t)
		w.serve = checked(t, ran)
		const keys = 6
		deploy := func(n int) {
			crons := []string{"* * * * * GET /always"}
			for i := range rand.IntN(4) {
				crons = append(crons, fmt.Sprintf("*/%d * * * * GET /%d", i+2, i))
			}
			w.deploy(fmt.Sprintf("/s%d", n), crons...)
		}
		for n := range keys {
			w.deploy(fmt.Sprintf("/s%d", n), "* * * * * GET /always")
		}
		for range 3 {
			s, end := w.begin(Config{Runs: 5, RunTimeout: 4 * time.Minute})
			var users sync.WaitGroup
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
			for n := range keys {
				users.Go(func() {
					for ctx.Err() == nil {
						time.Sleep(time.Duration(rand.IntN(59))*time.Second + 500*time.Millisecond)
						key := routekey.MustParse(fmt.Sprintf("/s%d", n))
						switch rand.IntN(4) {
						case 0:
							deploy(n)
						case 1:
							if w.now().Second() > 0 { // a time of a run of a schedule has no seconds
								_, _ = s.Trigger(ctx, key, "1")
							}
						case 2:
							w.step(time.Duration(rand.IntN(600)-200) * time.Second)
						default:
							for _, status := range s.Status(key) {
								if status.Failed > status.Runs {
									t.Errorf("%d of %d runs have failed", status.Failed, status.Runs)
								}
							}
							s.Stats()
						}
					}
				})
			}
			users.Wait()
			cancel()
			end()
		}
		require.Greater(t, len(ran), 100)
	})
}

// checked returns a service that checks the rules, and notes the times that have run.
func checked(t *testing.T, ran map[string]bool) func(router.Own, http.ResponseWriter, *http.Request) error {
	var mu sync.Mutex
	running := make(map[string]bool)
	return func(own router.Own, to http.ResponseWriter, r *http.Request) error {
		schedule := own.Key.String() + " " + r.RequestURI
		id := schedule + " " + own.Header.Get(httpfield.ScheduleTimeHeader)
		mu.Lock()
		always := r.RequestURI[len(r.RequestURI)-1] == 's' // no version is without it
		if always && running[schedule] {
			t.Errorf("%s has two runs at a time", schedule)
		}
		if always && ran[id] && strings.HasSuffix(id, ":00Z") {
			t.Errorf("%s has run twice", id)
		}
		running[schedule], ran[id] = true, true
		mu.Unlock()
		select {
		case <-time.After(time.Duration(rand.IntN(200)) * time.Second):
		case <-r.Context().Done():
		}
		mu.Lock()
		running[schedule] = false
		mu.Unlock()
		return nil
	}
}
