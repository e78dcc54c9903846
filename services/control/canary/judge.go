package canary

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/control/deploy"
)

// interval is the time between two looks at the running canaries.
const interval = time.Second

// Deployer carries the decisions out; *deploy.Deployer implements it.
type Deployer interface {
	Canaries() []deploy.Entry
	Conclude(ctx context.Context, key routekey.Key, canary registry.Canary, promote bool, reason string) error
}

// Judge watches the running canaries. Create it with New. It is safe for concurrent use.
type Judge struct {
	log    *slog.Logger                      // immutable
	trials atomic.Pointer[map[string]*trial] // by the text of the key; nil: no canary is running
}

// trial has the counts of a running canary.
type trial struct {
	key           routekey.Key
	canary        registry.Canary
	tested, other counts
	unprepared    bool // the version on trial could not be prepared; used by Run alone
}

// New returns a Judge that knows no canary.
func New(log *slog.Logger) *Judge { return &Judge{log: log} }

// Listen is an accesslog.Listener.
func (j *Judge) Listen(rec *accesslog.Record) {
	trials := j.trials.Load()
	if trials == nil {
		return
	}
	switch t := (*trials)[rec.Service]; {
	case t == nil:
	case rec.Number == uint64(t.canary.Number):
		t.tested.add(rec)
	case rec.Number == uint64(t.canary.Against):
		t.other.add(rec)
	}
}

// Run watches the canaries until ctx ends. Counts begin with the server's start; the time of a canary goes on while the server
// is stopped.
func (j *Judge) Run(ctx context.Context, d Deployer) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			j.look(ctx, d, time.Now())
		}
	}
}

// look updates the table of trials and decides each.
func (j *Judge) look(ctx context.Context, d Deployer, now time.Time) {
	j.follow(d.Canaries())
	trials := j.trials.Load()
	if trials == nil {
		return
	}
	for _, t := range *trials {
		verdict, reason := Decide(t.canary, t.tested.sample(), t.other.sample(), now)
		if t.unprepared {
			verdict, reason = RollBack, "the version could not be prepared after a start of the server"
		}
		if verdict == Wait {
			continue
		}
		if err := d.Conclude(ctx, t.key, t.canary, verdict == Promote, reason); err != nil && ctx.Err() == nil {
			j.log.Error("a canary could not be ended; the server tries again", "prefix", t.key, "version", t.canary.Number, "error", err)
		}
	}
}

// follow makes entries the trials. A trial that goes on keeps its counts.
func (j *Judge) follow(entries []deploy.Entry) {
	if len(entries) == 0 {
		j.trials.Store(nil)
		return
	}
	var before map[string]*trial
	if p := j.trials.Load(); p != nil {
		before = *p
	}
	next := make(map[string]*trial, len(entries))
	for _, e := range entries {
		name, canary := e.Service.Key.String(), e.Service.Canary
		t := before[name]
		if t == nil || t.canary.Number != canary.Number || !t.canary.Began.Equal(canary.Began) {
			t = &trial{key: e.Service.Key, canary: canary}
		}
		for _, l := range e.Live {
			if l.Number == canary.Number {
				t.unprepared = l.Problem != nil
			}
		}
		next[name] = t
	}
	j.trials.Store(&next)
}

// Counts are the counts of a running canary.
type Counts struct{ Trial, Other Sample }

// CountsOf returns the counts of the running canary of a service. It reports false if there is none.
func (j *Judge) CountsOf(key routekey.Key) (Counts, bool) {
	trials := j.trials.Load()
	if trials == nil || (*trials)[key.String()] == nil {
		return Counts{}, false
	}
	t := (*trials)[key.String()]
	return Counts{Trial: t.tested.sample(), Other: t.other.sample()}, true
}
