package cache

import (
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of a Sharing.
const (
	lookTime   = 30 * time.Millisecond // a request waits for the engine
	lookPlaces = 16                    // requests that wait at a time; so answers in transit have at most 16 MiB
	callTime   = time.Second           // of one call of the engine
	pollGap    = time.Second           // between two readings of the log
	awayTime   = 2 * time.Second       // the engine is left alone after a failure
	clockTime  = 10 * time.Second      // a reading of the engine's clock is used

	maxLife     = 24 * time.Hour       // of a value, even if the answer lasts longer
	fillTime    = time.Hour            // longest request whose answer is shared
	markLife    = maxLife + 2*fillTime // of the mark of a target: longer than all that it can concern
	serviceLife = 30 * 24 * time.Hour  // of the mark of a service; then its answers in the engine end, too
	ruleLife    = maxLife

	queueShare   = 8       // answers that are not sent yet have at most this part of the memory
	batchBytes   = 4 << 20 // of answers in one call
	batchAnswers = 64
	maxWaiting   = 4096 // removals that the engine does not know; further ones are for their whole service
	batchRemoved = 64   // removals in one call
)

// Sharing is a second level of a Store, which it has in common with the stores of other hosts. It is used after a miss alone. Requests
// wait for it for lookTime at most, and not at all while the engine cannot be used. Answers are sent by Run, in the background.
//
// An answer in the engine is usable while the marks of its service and of its target are those of its stamp. Removals change marks, and
// are in a log, by which other hosts learn of them.
type Sharing struct {
	store  *Store          // immutable
	engine Engine          // immutable
	host   [markBytes]byte // immutable; random
	places chan struct{}   // immutable; one item for each lookup
	woken  chan struct{}   // immutable; capacity 1: there is something to send

	away  atomic.Bool             // the engine is left alone; until the first reading of the log, too
	gone  atomic.Bool             // the last call has failed: removals wait for the next reading of the log
	clock atomic.Pointer[reading] // of the engine's clock; nil: there is none yet

	mu      sync.Mutex
	failed  time.Time           // guarded by mu; of the last failure
	queue   []offer             // guarded by mu
	queued  int64               // guarded by mu: bytes of queue, and of answers on their way
	marks   map[string]struct{} // guarded by mu: marks of services that the engine lacks
	removed map[string]Removal  // guarded by mu: to be sent, by their marks
	sending map[string]Removal  // guarded by mu: being sent

	position Position // in the log; of Run's goroutine that reads it

	counts sharingCounts
}

// sharingCounts are atomic.
type sharingCounts struct {
	hits, misses, failed, skipped, written, dropped, resets atomic.Uint64
}

// reading is a time of the engine's clock.
type reading struct {
	engine time.Time
	own    time.Time // when it was known here: with a monotonic reading
}

// SharingStats describes a Sharing.
type SharingStats struct {
	Away     bool  // the engine is left alone
	Queued   int64 // bytes of answers that are not sent yet
	Removals int   // removals that the engine does not know yet

	// Counts since the start.
	Hits    uint64 // requests answered by the engine
	Misses  uint64 // requests for which it had no usable answer
	Failed  uint64 // requests that have waited in vain
	Skipped uint64 // requests that have not asked it, as it was left alone or lookPlaces were taken
	Written uint64 // answers sent
	Dropped uint64 // answers not sent: too large, no room in the queue, or the engine could not be used
	Resets  uint64 // times that all answers of this host were removed, as removals of others may be unknown
}

// Share adds a second level to a store. It is called before Open. The caller calls Run.
func (s *Store) Share(engine Engine) *Sharing {
	sh := &Sharing{
		store:   s,
		engine:  engine,
		places:  make(chan struct{}, lookPlaces),
		woken:   make(chan struct{}, 1),
		marks:   make(map[string]struct{}),
		removed: make(map[string]Removal),
		sending: make(map[string]Removal),
	}
	_, _ = rand.Read(sh.host[:]) // it never fails
	sh.away.Store(true)
	s.sharing = sh
	return sh
}

// Stats returns the current state.
func (sh *Sharing) Stats() SharingStats {
	sh.mu.Lock()
	queued, removals := sh.queued, len(sh.removed)+len(sh.sending)
	sh.mu.Unlock()
	return SharingStats{
		Away:     sh.away.Load(),
		Queued:   queued,
		Removals: removals,
		Hits:     sh.counts.hits.Load(),
		Misses:   sh.counts.misses.Load(),
		Failed:   sh.counts.failed.Load(),
		Skipped:  sh.counts.skipped.Load(),
		Written:  sh.counts.written.Load(),
		Dropped:  sh.counts.dropped.Load(),
		Resets:   sh.counts.resets.Load(),
	}
}

// Run sends answers and removals, and reads the log, until ctx ends. It sends the last removals after that, and waits for lookups: for
// some seconds at most.
func (sh *Sharing) Run(ctx context.Context) {
	var group sync.WaitGroup
	group.Go(func() { sh.send(ctx) })
	group.Go(func() { sh.follow(ctx) })
	group.Wait()
	sh.away.Store(true)
	if !sh.gone.Load() {
		sh.sendRemovals(context.WithoutCancel(ctx))
	}
	for range lookPlaces {
		sh.places <- struct{}{}
	}
}

// follow reads the log again and again.
func (sh *Sharing) follow(ctx context.Context) {
	ticker := time.NewTicker(pollGap)
	defer ticker.Stop()
	for {
		sh.poll(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// poll reads the log, and makes the removals of other hosts. If it succeeds in the time of a lookup, the engine is used again.
func (sh *Sharing) poll(ctx context.Context) {
	own, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	began := time.Now()
	log, err := sh.engine.Log(own, sh.position)
	if ctx.Err() != nil {
		return
	}
	if sh.gone.Store(err != nil); err != nil {
		sh.fail()
		return
	}
	now := time.Now()
	sh.note(log.At, now)
	if log.Lost || !sh.apply(log.Notices) {
		if sh.store.empty(); sh.position.Epoch != "" {
			sh.counts.resets.Add(1)
		}
	}
	sh.position = log.Position
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if now.Sub(began) <= lookTime && began.Sub(sh.failed) >= awayTime {
		sh.away.Store(false)
	}
	if len(sh.removed) > 0 {
		sh.wake()
	}
}

// apply makes the removals of other hosts. It reports false if one cannot be read.
func (sh *Sharing) apply(notices [][]byte) bool {
	for _, b := range notices {
		n, ok := decodeNotice(b)
		switch {
		case !ok:
			return false
		case n.host == sh.host: // made at the time of the request
		case n.key == Key{}:
			sh.store.purge(n.service)
		default:
			sh.store.invalidate(n.service, n.key)
		}
	}
	return true
}

// fail notes that the engine has failed, or is too slow.
func (sh *Sharing) fail() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.failed = time.Now()
	sh.away.Store(true)
}

// note notes a time of the engine that is known since now.
func (sh *Sharing) note(engine, now time.Time) { sh.clock.Store(&reading{engine: engine, own: now}) }

// now returns the time of the engine, which may be later by as much as a call takes. So answers become too old rather than too young. It reports
// false if the time is not known.
func (sh *Sharing) now(own time.Time) (time.Time, bool) {
	r := sh.clock.Load()
	if r == nil || own.Sub(r.own) > clockTime {
		return time.Time{}, false
	}
	return r.engine.Add(own.Sub(r.own)), true
}

func (sh *Sharing) wake() {
	select {
	case sh.woken <- struct{}{}:
	default:
	}
}
