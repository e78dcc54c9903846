package queue

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/internal/budget"
	"github.com/vespo-dev/vespo/services/kinds/queue/internal/stored"
	"github.com/vespo-dev/vespo/services/queues"
	"github.com/vespo-dev/vespo/services/schema"
)

// KindName is the kind's name in specs and catalogues.
const KindName = "queue"

const (
	// DefaultTimeout is how long a client waits for its answer if the service has no timeout.
	DefaultTimeout = time.Minute
	// MaxTimeout is the longest timeout that a service may configure.
	MaxTimeout = time.Hour
)

// Config configures the kind. Zero fields take their defaults.
type Config struct {
	// Listen opens the listener for workers when the first queue
	// is deployed. If it fails, so does the deployment. Required.
	// If the listener has the methods ConnState and Watch, the
	// server of workers calls them, as of a conns.Listener.
	Listen func(context.Context) (net.Listener, error)
	Token  string // required from workers; default: none, only workers on this machine are accepted

	MaxBodyBytes  int64 // of a request and of an answer; default 10 MiB
	MaxQueueBytes int64 // requests of all queues in memory; default 256 MiB, or 4 bodies if that is more
	MaxReplyBytes int64 // answers of all queues not yet sent; default 256 MiB, or 10 bodies if that is more

	Dir string // directory of the durable queues' store; created if necessary; empty: durable queues are not supported
	// Shared keeps the requests of durable queues in an engine that several hosts share; default: those of this host are in Dir.
	// It must be open until Close.
	Shared queues.Store
	Log    *slog.Logger // default: discard
}

func (c Config) withDefaults() Config {
	c.MaxBodyBytes = cmp.Or(c.MaxBodyBytes, 10<<20)
	c.MaxQueueBytes = cmp.Or(c.MaxQueueBytes, max(256<<20, 4*c.MaxBodyBytes))
	c.MaxReplyBytes = cmp.Or(c.MaxReplyBytes, max(256<<20, 10*c.MaxBodyBytes))
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Kind implements services.Kind for queues. The listener for workers is open while
// there are deployments. The store is open from the first durable queue until Close.
type Kind struct {
	cfg      Config         // immutable
	requests *budget.Budget // immutable
	replies  *budget.Budget // immutable

	// life is held while the server for workers or the store is opened or closed.
	life   sync.Mutex
	server *server // guarded by life; nil while there are no deployments

	mu    sync.Mutex
	store *stored.Store            // guarded by mu; changed with life held too; nil before the first durable queue
	lines map[routekey.Key]*line   // guarded by mu
	open  map[*deployment]struct{} // guarded by mu; prepared and not yet closed
}

// New returns a kind. It opens neither listener nor store.
func New(cfg Config) *Kind {
	cfg = cfg.withDefaults()
	return &Kind{
		cfg:      cfg,
		requests: budget.New(cfg.MaxQueueBytes),
		replies:  budget.New(cfg.MaxReplyBytes),
		lines:    make(map[routekey.Key]*line),
		open:     make(map[*deployment]struct{}),
	}
}

// Describe implements services.Kind.
func (k *Kind) Describe() schema.Kind { return Description() }

// Validate implements services.Kind.
func (k *Kind) Validate(s services.Spec) error {
	_, err := k.check(s)
	return err
}

// check returns the plan of a spec, or a problem that lists all violations.
func (k *Kind) check(s services.Spec) (*plan, error) {
	d, err := Decode(s.Manifest)
	if err != nil {
		return nil, problem.New(problem.BadRequest, err.Error())
	}
	p, violations := d.plan()
	if p.durable && k.cfg.Dir == "" && k.cfg.Shared == nil {
		violations.Add(fieldDurable, "is given, but this server keeps no data")
	}
	if err := problem.Invalid(problem.BadRequest, "the queue is invalid", violations); err != nil {
		return nil, err
	}
	return p, nil
}

// Prepare implements services.Kind. Workers can connect from the first deployment on.
func (k *Kind) Prepare(ctx context.Context, s services.Spec) (services.Deployment, error) {
	p, err := k.check(s)
	if err != nil {
		return nil, err
	}
	k.life.Lock()
	defer k.life.Unlock()
	if err := k.openServerLocked(ctx); err != nil {
		return nil, err
	}
	store, err := k.openStoreLocked(p)
	if err == nil {
		var d *deployment
		if d, err = k.enter(s.Key, p, store); err == nil {
			return d, nil
		}
	}
	k.closeServerLocked(ctx)
	return nil, err
}

// openServerLocked opens the server for workers unless it is open.
func (k *Kind) openServerLocked(ctx context.Context) error {
	if k.server != nil {
		return nil
	}
	l, err := k.cfg.Listen(ctx)
	if err != nil {
		return problem.Newf(problem.Conflict, "the service was not deployed: the listener for workers could not be opened: %s", err).WithCause(err)
	}
	if !enabled(l.Addr(), k.cfg.Token) {
		return problem.Newf(problem.Conflict, "the service was not deployed: other machines reach the listener for workers, %s, and no token is set: "+
			"start the server with --worker-token, or with --worker-listen on a loopback address such as %s", l.Addr(), exampleListen).WithCause(l.Close())
	}
	k.server = startServer(l, newWorkers(k), k.cfg.Log)
	return nil
}

// closeServerLocked closes the server for workers unless a deployment uses it.
func (k *Kind) closeServerLocked(ctx context.Context) {
	k.mu.Lock()
	needed := len(k.open) > 0
	k.mu.Unlock()
	if needed || k.server == nil {
		return
	}
	k.server.close(ctx)
	k.server = nil
}

// openStoreLocked returns the store, opening it if p is durable.
// It returns nil if no durable queue has opened it yet.
func (k *Kind) openStoreLocked(p *plan) (*stored.Store, error) {
	if !p.durable || k.store != nil || k.cfg.Shared != nil {
		return k.store, nil
	}
	store, err := stored.Open(filepath.Join(k.cfg.Dir, "requests.db"), time.Now(), k.cfg.Log)
	if err != nil {
		return nil, problem.New(problem.Internal, "the requests that durable queues have kept could not be read; the server's log has the reason").WithCause(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.store = store
	return store, nil
}

// enter creates the deployment, and the line of the prefix if necessary.
func (k *Kind) enter(key routekey.Key, p *plan, store *stored.Store) (*deployment, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	l := k.lines[key]
	if l == nil {
		l = newLine(key.String(), k.cfg.Shared, k.cfg.Log)
		k.lines[key] = l
	}
	d := newDeployment(k, key, p, l)
	if p.durable {
		d.store = store
		if err := l.attach(store); err != nil {
			k.dropLineLocked(l, key)
			return nil, err
		}
	}
	l.users++
	k.open[d] = struct{}{}
	d.address = k.server.address
	return d, nil
}

// leave removes a deployment whose requests have ended.
func (k *Kind) leave(ctx context.Context, d *deployment) {
	k.life.Lock()
	defer k.life.Unlock()
	k.mu.Lock()
	delete(k.open, d)
	d.line.users--
	if d.plan.durable {
		d.line.detach()
	}
	k.dropLineLocked(d.line, d.key)
	k.mu.Unlock()
	k.closeServerLocked(ctx)
}

// dropLineLocked closes a line that no deployment uses.
func (k *Kind) dropLineLocked(l *line, key routekey.Key) {
	if l.users == 0 {
		delete(k.lines, key)
		l.close()
	}
}

// Close closes the store. No deployment may be open.
func (k *Kind) Close() error {
	k.life.Lock()
	defer k.life.Unlock()
	k.mu.Lock()
	store := k.store
	k.store = nil
	k.mu.Unlock()
	if store == nil {
		return nil
	}
	return store.Close()
}

// lineOf returns the line of a prefix, or nil.
func (k *Kind) lineOf(key routekey.Key) *line {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.lines[key]
}

// defaults returns the line of the default queue, or nil, and
// the lines of former default queues that are not yet closed.
func (k *Kind) defaults() (current *line, earlier []*line) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for d := range k.open {
		switch {
		case !d.plan.isDefault:
		case d.retired.Load():
			earlier = append(earlier, d.line)
		default:
			current = d.line
		}
	}
	return current, earlier
}

// all returns the lines of all queues.
func (k *Kind) all() (lines []*line) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, l := range k.lines {
		lines = append(lines, l)
	}
	return lines
}
