package scheduler

import (
	"context"
	"iter"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
)

const (
	// longestNap is the longest time between two looks at the clock, which may be set at any time.
	longestNap = 10 * time.Second
	// saveGap is the least time between two writes of results alone.
	saveGap = time.Second
	// maxPerService is the number of runs of one service at a time.
	maxPerService = 4
)

// Catalogue has the services with their schedules.
type Catalogue interface {
	State() *registry.State
	// Watch returns the current state, and then each that is committed.
	Watch(ctx context.Context) iter.Seq[*registry.State]
}

// Dispatcher serves requests of the server itself, such as a router.Router.
type Dispatcher interface {
	DispatchOwn(own router.Own, w http.ResponseWriter, r *http.Request) error
}

// Config configures a Scheduler.
type Config struct {
	Catalogue  Catalogue
	Dispatcher Dispatcher
	FS         durable.FS       // directory of the scheduler alone
	Functions  []string         // names of the kinds whose services take events
	Runs       int              // runs at a time; default 16
	RunTimeout time.Duration    // bounds a run beyond the limits of its service; default 15 min
	Now        func() time.Time // default time.Now
	// Away reports whether other hosts alone serve a service, and run its schedules. Nil: none is elsewhere.
	Away func(routekey.Key) bool
	// Claim reports whether this host may run a schedule for a time, of several with the same catalogue. It is asked before
	// each run that the schedule is due for, and reports true on one host. nil: there are no other hosts.
	Claim func(ctx context.Context, schedule string, at time.Time) (bool, error)
	Log   *slog.Logger // default: discards
}

func (c Config) withDefaults() Config {
	if c.Runs <= 0 {
		c.Runs = 16
	}
	if c.RunTimeout <= 0 {
		c.RunTimeout = 15 * time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Scheduler runs the schedules of all services. Create it with Open. All methods are safe for concurrent use; Run is
// called at most once.
type Scheduler struct {
	cfg   Config        // immutable
	wakes chan struct{} // capacity 1: something has changed

	store  *store     // immutable
	saving sync.Mutex // held while the state is stored

	running context.Context // of runs; ends with Close
	stop    context.CancelFunc
	runs    sync.WaitGroup // one for each run; added to with mu held, before closed is set

	mu       sync.Mutex
	closed   bool                      // guarded by mu, as all below
	state    *registry.State           // that services is made from; nil at first
	services map[routekey.Key]*service // those with schedules
	before   stored                    // of the last process, until the first state; nil if it is not known
	waiting  []*entry                  // have a due time and wait for their turn, first in, first out
	active   int                       // runs of schedules
	unsaved  bool                      // a result is not stored yet
	saved    time.Time                 // the last attempt to store
	failing  bool                      // that attempt failed
}

// Open reads the state of the last process. It starts no goroutine.
func Open(cfg Config) (*Scheduler, error) {
	s := &Scheduler{
		cfg:      cfg.withDefaults(),
		wakes:    make(chan struct{}, 1),
		services: make(map[routekey.Key]*service),
	}
	var problem, err error
	if s.store, s.before, problem, err = openStore(cfg.FS); err != nil {
		return nil, err
	}
	if problem != nil {
		s.cfg.Log.Warn("what schedules have run is not known: times that the server has missed are not made up for", "error", problem)
	}
	s.running, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// now returns the time of the wall clock.
func (s *Scheduler) now() time.Time { return s.cfg.Now().Round(0) }

// wake lets Run look again.
func (s *Scheduler) wake() {
	select {
	case s.wakes <- struct{}{}:
	default:
	}
}

// Run runs the schedules until ctx ends. It does not wait for runs: Close does.
func (s *Scheduler) Run(ctx context.Context) {
	var watch sync.WaitGroup
	defer watch.Wait()
	watch.Go(func() {
		for range s.cfg.Catalogue.Watch(ctx) {
			s.wake()
		}
	})
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-s.wakes:
		case <-ctx.Done():
			return
		}
		if ctx.Err() != nil {
			return
		}
		timer.Reset(s.round())
	}
}

// Close refuses new runs, and waits for those that go on until ctx ends, when it cancels them. Then it stores the state.
func (s *Scheduler) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	defer context.AfterFunc(ctx, s.stop)()
	s.runs.Wait()
	s.stop()
	return s.save()
}

// round looks at all schedules once, starts runs, and returns the time until the next round.
func (s *Scheduler) round() time.Duration {
	now := s.now()
	s.mu.Lock()
	s.refresh(now)
	next := s.look(now)
	started := s.take(now)
	late := s.unsaved && now.Sub(s.saved).Abs() >= saveGap
	s.mu.Unlock()
	if len(started) > 0 || late {
		s.logSave(s.save())
	}
	for _, run := range started {
		go run()
	}
	return s.nap(now, next)
}

// nap returns the time until the next round.
func (s *Scheduler) nap(now, next time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	nap := longestNap
	if !next.IsZero() {
		nap = min(nap, max(next.Sub(now), 0))
	}
	if s.unsaved {
		nap = min(nap, saveGap)
	}
	return nap
}

// save stores the state.
func (s *Scheduler) save() error {
	s.saving.Lock()
	defer s.saving.Unlock()
	now := s.now()
	s.mu.Lock()
	if s.state == nil { // nothing is known yet that the file has not
		s.mu.Unlock()
		return nil
	}
	state := s.keptLocked()
	s.unsaved, s.saved = false, now
	s.mu.Unlock()
	err := s.store.save(state)
	if err != nil {
		s.mu.Lock()
		s.unsaved = true
		s.mu.Unlock()
	}
	return err
}

// keptLocked returns what is stored.
func (s *Scheduler) keptLocked() stored {
	all := make(stored, len(s.services))
	for key, service := range s.services {
		own := make(map[string]kept, len(service.entries))
		for _, e := range service.entries {
			own[e.schedule.Text] = e.kept
		}
		all[key.String()] = own
	}
	return all
}

// logSave logs the first of consecutive failures to store.
func (s *Scheduler) logSave(err error) {
	s.mu.Lock()
	before := s.failing
	s.failing = err != nil
	s.mu.Unlock()
	switch {
	case err != nil && !before:
		s.cfg.Log.Error("what schedules have run cannot be stored: they run all the same, and may run again after a crash", "error", err)
	case err == nil && before:
		s.cfg.Log.Info("what schedules have run is stored again")
	}
}

// Stats is a snapshot of a Scheduler.
type Stats struct {
	Schedules int
	Running   int // runs, without those of users
	Waiting   int // schedules whose time has come and that wait for their turn
}

// Stats returns the current state. It takes time in proportion to the number of services.
func (s *Scheduler) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := Stats{Running: s.active, Waiting: len(s.waiting)}
	for _, service := range s.services {
		stats.Schedules += len(service.entries)
	}
	return stats
}
