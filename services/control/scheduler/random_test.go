package scheduler

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router"
)

// ledger checks the runs of all schedules.
type ledger struct {
	mu      sync.Mutex
	last    map[string]time.Time // that a schedule has run, by service and text, as long as it was there
	running map[string]int
	runs    int
	bad     []string
}

// hasty is a directory without fsyncs, which are most of the time of a test with thousands of runs.
type hasty struct{ durable.FS }

func (hasty) SyncDir(string) error { return nil }

func (h hasty) Create(name string, mode fs.FileMode) (durable.File, error) {
	f, err := h.FS.Create(name, mode)
	return hastyFile{f}, err
}

type hastyFile struct{ durable.File }

func (hastyFile) Sync() error { return nil }

// TestRandomLives deploys, replaces and removes services, triggers runs, sets the clock and restarts the scheduler in random
// order. No time runs twice or out of order, and no schedule has two runs at a time.
func TestRandomLives(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { liveRandomly(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func liveRandomly(t *testing.T, random *rand.Rand) {
	w := newWorld(t)
	w.fs = hasty{w.fs}
	l := &ledger{last: map[string]time.Time{}, running: map[string]int{}}
	w.serve = func(own router.Own, to http.ResponseWriter, r *http.Request) error {
		name := own.Key.String() + " " + own.Header.Get(httpfield.ScheduleHeader)
		at, err := time.Parse(time.RFC3339, own.Header.Get(httpfield.ScheduleTimeHeader))
		l.begin(name, at, err)
		defer l.end(name)
		<-time.After(time.Duration(name[1]-'a') * 40 * time.Second) // longer than a minute for one of the services
		to.WriteHeader(http.StatusOK)
		return nil
	}
	keys := []string{"/a", "/b", "/c"}
	deployed := map[string][]string{}
	pool := []string{"* * * * *", "*/2 * * * *", "*/7 * * * *", "13 * * * *", "0 3 * * *", "CRON_TZ=Europe/Berlin 30 2 * * *"}
	s, end := w.begin(Config{Runs: 3})
	for range 60 {
		key := keys[random.IntN(len(keys))]
		switch random.IntN(8) {
		case 0, 1:
			random.Shuffle(len(pool), func(i, j int) { pool[i], pool[j] = pool[j], pool[i] })
			crons := slices.Clone(pool[:random.IntN(len(pool))])
			l.forget(key, deployed[key], crons)
			deployed[key] = crons
			w.deploy(key, crons...)
		case 2:
			if len(deployed[key]) > 0 {
				go func() { _, _ = s.Trigger(context.Background(), routekey.MustParse(key), "1") }()
			}
		case 3:
			w.step(time.Duration(random.IntN(100)) * time.Minute)
		case 4:
			w.step(-time.Duration(random.IntN(60)) * time.Minute)
		case 5:
			end()
			pass(time.Duration(random.IntN(200)) * time.Minute)
			s, end = w.begin(Config{Runs: 3})
		default:
			pass(time.Duration(random.IntN(20*60)) * time.Second)
		}
		synctest.Wait()
	}
	end()
	require.Empty(t, l.bad)
	require.NotZero(t, l.runs)
	require.Zero(t, s.Stats().Running)
}

func (l *ledger) begin(name string, at time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runs++
	if l.running[name]++; l.running[name] > 1 {
		l.bad = append(l.bad, name+" runs twice at a time")
	}
	if err != nil {
		l.bad = append(l.bad, err.Error())
	}
	if at.Second() != 0 { // a trigger
		return
	}
	if !at.After(l.last[name]) {
		l.bad = append(l.bad, fmt.Sprintf("%s runs for %s after %s", name, at, l.last[name]))
	}
	l.last[name] = at
}

func (l *ledger) end(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running[name]--
}

// forget forgets the schedules that a deploy removes.
func (l *ledger) forget(key string, before, after []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, text := range before {
		if !slices.Contains(after, text) {
			delete(l.last, key+" "+text)
			l.running[key+" "+text] = -1000 // a run of the removed one may go on beside one of its successor
		}
	}
}
