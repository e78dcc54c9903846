package pgqueue

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/vespo-dev/vespo/services/queues"
)

const (
	beatEvery  = 2 * time.Second // this host is alive; the counts are read
	sweepBeats = 15              // a sweep is made once in so many beats
	sweepRows  = 1000            // of one statement
	maxNews    = 1000            // signals that wait to be told; beyond it all hosts look everywhere
	maxLost    = 10_000          // leases that wait to be given back; others end by themselves
	lostTries  = 5               // how often a lost lease is given back that is not there: 1, 3, 7, 15 and 31 beats after its loss
	newsBytes  = 7000            // of one notification; the engine allows 8000
	everything = "*"             // a notification that is about everything
)

// keep renews the row of this host, returns lost leases, reads the counts and sweeps, until ctx ends.
func (s *Store) keep(ctx context.Context) {
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	for n := 0; ; n++ {
		err := s.attempt(ctx, s.cfg.Timeout, func(ctx context.Context, _ bool) error { return s.beat(ctx) })
		if err == nil {
			s.giveBackLost(ctx)
			s.events.giveBackLost(ctx)
		}
		if err == nil && n%sweepBeats == 0 {
			if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
				s.cfg.Log.Debug("old results of queues could not be deleted", slog.Any("error", err))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// beat renews the row of this host, and reads the counts.
func (s *Store) beat(ctx context.Context) error {
	if err := s.row(ctx, []any{nil}, `INSERT INTO @schema@.queue_hosts AS h VALUES ($1, @schema@.queue_now())
		ON CONFLICT (id) DO UPDATE SET seen = EXCLUDED.seen RETURNING h.seen`, s.host); err != nil {
		return err
	}
	rows, err := s.pool.Query(ctx, s.cfg.InSchema(`SELECT queue, sum(waiting)::bigint, sum(stored)::bigint, sum(bytes)::bigint,
		(SELECT count(*) FROM @schema@.queue_requests r WHERE r.queue = c.queue AND r.state = 1 AND r.due > @schema@.queue_now()),
		coalesce((SELECT r.accepted FROM @schema@.queue_requests r WHERE r.queue = c.queue AND r.state = 0 ORDER BY r.seq LIMIT 1), 0)
		FROM @schema@.queue_counts c GROUP BY queue`))
	if err != nil {
		return err
	}
	all := make(map[string]queues.Stats)
	var queue string
	var waiting, stored, bytes, leased, oldest int64
	_, err = pgx.ForEachRow(rows, []any{&queue, &waiting, &stored, &bytes, &leased, &oldest}, func() error {
		q := queues.Stats{Waiting: int(waiting), Leased: int(leased), Stored: int(stored), Bytes: bytes}
		if oldest != 0 {
			q.Oldest = time.UnixMicro(oldest)
		}
		all[queue] = q
		return nil
	})
	if err != nil {
		return err
	}
	s.stats.Store(&all)
	return s.events.count(ctx)
}

// lostLease is a lease whose take had no answer.
type lostLease struct {
	id    string
	tries int // how often it was given back in vain: the take may still be made
	wait  int // beats until the next try
}

// forgo remembers a lease, so that its request need not wait for the end of the lease.
func (s *Store) forgo(l lostLease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lost) < maxLost {
		s.lost = append(s.lost, l)
	}
}

func (s *Store) giveBackLost(ctx context.Context) {
	s.mu.Lock()
	lost := s.lost
	s.lost = nil
	s.mu.Unlock()
	tried := false
	for i, l := range lost {
		if l.wait > 0 {
			l.wait--
			s.forgo(l)
			continue
		}
		tried = true
		err := s.GiveBack(ctx, "", l.id)
		if l.tries++; errors.Is(err, queues.ErrEnded) && l.tries < lostTries {
			l.wait = 1<<l.tries - 1
			s.forgo(l)
		}
		if err != nil && !errors.Is(err, queues.ErrEnded) || ctx.Err() != nil {
			s.mu.Lock()
			s.lost = append(s.lost, lost[i:]...)
			s.mu.Unlock()
			return
		}
	}
	if tried {
		s.wakeAll()
	}
}

// sweep sweeps all queues.
func (s *Store) sweep(ctx context.Context) error {
	if err := s.events.sweep(ctx); err != nil {
		return err
	}
	all := s.stats.Load()
	if all == nil {
		return nil
	}
	for queue := range *all {
		for changed := int64(sweepRows); changed >= sweepRows; {
			err := s.run(ctx, func(ctx context.Context, _ bool) error {
				return s.row(ctx, []any{&changed}, `SELECT @schema@.queue_sweep($1, $2, $3, $4, $5)`,
					queue, s.cfg.KeepFor.Microseconds(), aliveFor.Microseconds(), s.cfg.KeepResults, sweepRows)
			})
			if err = cmp.Or(err, ctx.Err()); err != nil {
				return err
			}
		}
	}
	return nil
}

// announce signals a change to this host, and later to the others. kind is q for a queue, r for a result, or e for events.
func (s *Store) announce(kind, name string) {
	s.hear(kind + " " + name)
	s.mu.Lock()
	if len(s.news) < maxNews {
		s.news[kind+" "+name] = struct{}{}
	} else {
		s.news[everything] = struct{}{}
	}
	s.mu.Unlock()
	select {
	case s.telling <- struct{}{}:
	default:
	}
}

// hear passes a signal on to waiting callers of this host.
func (s *Store) hear(news string) {
	kind, name, _ := strings.Cut(news, " ")
	switch {
	case news == everything:
		s.wakeAll()
	case kind == "q":
		s.signals.Wake(name)
	case kind == "r":
		s.signals.Ended(name)
	case kind == "e":
		s.events.wake()
	}
}

// wakeAll signals everything to this host.
func (s *Store) wakeAll() {
	s.signals.WakeAll()
	s.events.wake()
}

// channel is that of notifications.
func (s *Store) channel() string { return s.cfg.Schema + "_queues" }

// tell sends signals to the other hosts until ctx ends. After an error, they are dropped.
func (s *Store) tell(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.telling:
		}
		s.mu.Lock()
		news := s.news
		s.news = make(map[string]struct{})
		s.mu.Unlock()
		within, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
		err := s.row(within, []any{nil}, `SELECT set_config('synchronous_commit', 'off', true) FROM (
			SELECT count(pg_notify($1, t)) FROM unnest($2::text[]) t) told`, s.channel(), notifications(s.host, news))
		cancel()
		if err != nil && ctx.Err() == nil {
			s.cfg.Log.Debug("the other hosts were not told of changes of queues", slog.Any("error", err))
		}
	}
}

// notifications returns signals in texts that are short enough. Each begins with the sender.
func notifications(sender string, news map[string]struct{}) (texts []string) {
	if _, ok := news[everything]; ok {
		return []string{sender + "\n" + everything}
	}
	text := sender
	for n := range news {
		if len(text)+len(n) >= newsBytes {
			texts, text = append(texts, text), sender
		}
		text += "\n" + n
	}
	return append(texts, text)
}

// listen receives the signals of the other hosts until ctx ends.
func (s *Store) listen(ctx context.Context) {
	for ctx.Err() == nil {
		if err := s.listenOnce(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.Debug("the other hosts cannot be heard", slog.Any("error", err))
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// listenOnce receives signals over a connection of its own, while that lasts.
func (s *Store) listenOnce(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	pool, err := s.cfg.PoolConfig()
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(within, pool.ConnConfig)
	if err != nil {
		return err
	}
	defer func() {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(within) // the engine ends it if it does not hear of that
	}()
	if _, err := conn.Exec(within, "LISTEN "+s.channel()); err != nil {
		return err
	}
	s.wakeAll() // signals were lost
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		sender, news, _ := strings.Cut(n.Payload, "\n")
		if sender == s.host {
			continue
		}
		for one := range strings.SplitSeq(news, "\n") {
			s.hear(one)
		}
	}
}
