package scheduler

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/durable/crashtest"
	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/router"
)

// keptState is the state of two schedules, which are saved in turns.
type keptState struct {
	store *store
	state stored
}

func openState(fsys durable.FS) (crashtest.Kept, error) {
	s, state, problem, err := openStore(fsys)
	if problem != nil {
		return nil, fmt.Errorf("a crash has damaged the file: %w", problem)
	}
	return &keptState{store: s, state: state}, err
}

func (k *keptState) Step(n int) error {
	next := stored{"/hello": {"@daily": kept{Handled: time.Unix(int64(n), 0).UTC(), Counts: Counts{Runs: uint64(n)}}}}
	if err := k.store.save(next); err != nil {
		return err
	}
	k.state = next
	return nil
}

func (k *keptState) State() any { return k.state }

func (k *keptState) Close() error { return nil }

func TestTheStateIsWholeAfterEveryCrash(t *testing.T) {
	crashtest.RunCrashes(t, crashtest.Subject{Open: openState, Steps: 3})
}

// TestRunsAreStoredBeforeTheyStart looks at the file while a service is called. Schedules that wait for their turn are
// not in it, so that a later process makes up for them.
func TestRunsAreStoredBeforeTheyStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		calls := 0
		w.serve = func(own router.Own, to http.ResponseWriter, r *http.Request) error {
			calls++
			_, state, problem, err := openStore(w.fs)
			require.NoError(t, err)
			require.NoError(t, problem)
			started := 0
			for text, k := range state[own.Key.String()] {
				if k.Last != nil && k.Last.Outcome == OutcomeRunning {
					require.Equal(t, own.Header.Get(httpfield.ScheduleTimeHeader), k.Handled.Format(time.RFC3339))
					require.Contains(t, text, r.Method)
					started++
				}
			}
			require.Equal(t, 1, started)
			<-time.After(time.Second)
			return nil
		}
		w.deploy("/hello", "* * * * * GET /", "* * * * * PUT /")
		s, end := w.begin(Config{Runs: 1})
		pass(10*time.Minute + 2*time.Second)
		require.Equal(t, 20, calls)
		require.Equal(t, Counts{Runs: 10}, s.Status(hello())[0].Counts)
		pass(58 * time.Second)
		end() // one runs, and the other one waits
		require.Equal(t, 21, calls)
		w.slow(0)
		s, end = w.begin(Config{Runs: 1})
		synctest.Wait()
		require.Equal(t, "00:11:01", clock(w.requests()[21:]), "the one that waited is made up for")
		require.Equal(t, Counts{Runs: 11}, s.Status(hello())[1].Counts)
		end()
	})
}
