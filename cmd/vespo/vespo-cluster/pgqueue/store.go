package pgqueue

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/engine"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/pgstore"
	"github.com/vespo-dev/vespo/services/events"
	"github.com/vespo-dev/vespo/services/queues"
)

// aliveFor is the time for which a host counts as alive after it has said so. Requests whose client waits at a host that is
// not alive are not handed out.
const aliveFor = 10 * time.Second

// Schemes returns the schemes of the URLs.
func Schemes() []string { return pgstore.Schemes() }

// Config configures a Store.
type Config struct {
	pgstore.Config               // Quotas and Now are not used
	KeepFor        time.Duration // results; zero: queues.KeepFor
	KeepResults    int           // of one queue; zero: queues.KeepResults
	Events         int           // stored at most; zero: events.MaxEvents
	EventBytes     int64         // their content; zero: events.MaxBytes
}

// Store implements queues.Store. It is safe for concurrent use.
type Store struct {
	cfg      Config           // immutable
	host     string           // immutable; unique
	pool     *pgxpool.Pool    // immutable
	presence *engine.Presence // immutable
	signals  queues.Signals
	events   *eventStore // immutable

	installation *pgstore.Installation // of the tables

	quit context.CancelFunc // immutable; ends the goroutines of keep, tell and listen
	done sync.WaitGroup     // these goroutines

	stats atomic.Pointer[map[string]queues.Stats] // by queue

	mu      sync.Mutex
	news    map[string]struct{} // guarded by mu: signals for the other hosts
	telling chan struct{}       // has an element if there may be news
	lost    []lostLease         // guarded by mu: leases whose take had no answer
}

var _ queues.Engine = (*Store)(nil)

// Open connects to the engine. An engine that does not answer does not fail Open: operations fail until it does. One that
// refuses, or whose settings do not keep the promises, does.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.KeepFor == 0 {
		cfg.KeepFor = queues.KeepFor
	}
	if cfg.KeepResults == 0 {
		cfg.KeepResults = queues.KeepResults
	}
	cfg.Events = cmp.Or(cfg.Events, events.MaxEvents)
	cfg.EventBytes = cmp.Or(cfg.EventBytes, events.MaxBytes)
	pool, err := cfg.PoolConfig()
	if err != nil {
		return nil, fmt.Errorf("queues: %w", err)
	}
	running, quit := context.WithCancel(context.WithoutCancel(ctx))
	s := &Store{
		cfg:          cfg,
		host:         newID(),
		presence:     engine.NewPresence(cfg.Log, "queues", cfg.String()),
		installation: pgstore.NewInstallation(),
		quit:         quit,
		news:         make(map[string]struct{}),
		telling:      make(chan struct{}, 1),
	}
	s.events = newEventStore(s)
	if s.pool, err = pgxpool.NewWithConfig(running, pool); err != nil {
		quit()
		return nil, fmt.Errorf("queues: %w", err)
	}
	if err := s.begin(ctx); err != nil {
		quit()
		s.pool.Close()
		return nil, fmt.Errorf("queues at %s: %w", cfg, err)
	}
	s.done.Go(func() { s.keep(running) })
	s.done.Go(func() { s.tell(running) })
	s.done.Go(func() { s.listen(running) })
	return s, nil
}

// begin tries to use the engine. It returns an error if the engine refuses.
func (s *Store) begin(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	err := s.ready(within)
	if err == nil {
		err = s.beat(within)
	}
	if refused := pgstore.Refusal(err); refused != nil {
		return refused
	}
	s.presence.Seen(err)
	return nil
}

// OpenURL is a queues.Opener.
func OpenURL(ctx context.Context, o queues.Options) (queues.Engine, error) {
	parsed, err := pgstore.Read(o.URL, o.Password)
	if err != nil {
		return nil, err
	}
	parsed.Log = o.Log
	s, err := Open(ctx, Config{Config: parsed})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Close ends all operations and closes all connections. It must be called once.
func (s *Store) Close() error {
	s.quit()
	s.done.Wait()
	s.pool.Close()
	return nil
}

// ready creates the tables if they may be missing.
func (s *Store) ready(ctx context.Context) error {
	return s.installation.Ready(ctx, func(ctx context.Context) error {
		for _, p := range append([]pgstore.Part{queuePart()}, eventParts()...) {
			if err := s.cfg.Install(ctx, s.pool, p); err != nil {
				return err
			}
		}
		return nil
	})
}

// queuePart is the part of the schema for queues.
func queuePart() pgstore.Part {
	return pgstore.Part{Format: "queue_format", Version: formatVersion, Script: tables + helpers + changes}
}

// Signals implements queues.Store.
func (s *Store) Signals() *queues.Signals { return &s.signals }

// Stats implements queues.Store.
func (s *Store) Stats(queue string) queues.Stats {
	if all := s.stats.Load(); all != nil {
		return (*all)[queue]
	}
	return queues.Stats{}
}

// Totals implements queues.Store.
func (s *Store) Totals() (sum queues.Stats, away bool) {
	all := s.stats.Load()
	if all == nil {
		return sum, s.presence.Away()
	}
	for _, q := range *all {
		sum.Waiting += q.Waiting
		sum.Leased += q.Leased
		sum.Stored += q.Stored
		sum.Bytes += q.Bytes
		if sum.Oldest.IsZero() || !q.Oldest.IsZero() && q.Oldest.Before(sum.Oldest) {
			sum.Oldest = q.Oldest
		}
	}
	return sum, s.presence.Away()
}

// newID returns an unguessable id.
func newID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}
