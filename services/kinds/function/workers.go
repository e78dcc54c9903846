package function

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"syscall"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/internal/arn"
	"github.com/vespo-dev/vespo/services/kinds/function/internal/runtimeapi"
)

// backend carries out the invocations of a deployment.
type backend interface {
	// invoke carries out the event of the request from. It writes the costs to res, and an outcome if it knows one.
	invoke(ctx context.Context, from *router.Request, in runtimeapi.Input, res *accesslog.Result) (*runtimeapi.Reply, error)
	// describe returns a line that describes where events are processed.
	describe() string
	// warm returns the number of idle workers.
	warm() int
	// state returns a state of services.Status.
	state() string
	// scale stops idle workers.
	scale()
	// close releases the resources of the deployment.
	close()
}

// endpoint is the Runtime API of a prefix. Deployments of the prefix share it.
type endpoint struct {
	*runtimeapi.Endpoint              // immutable
	key                  routekey.Key // immutable
	addr                 string       // immutable
	port                 int          // immutable
	users                int          // guarded by Kind.mu; number of deployments that use it
}

// open returns the endpoint of a prefix at a port and adds a user to
// it. Port 0 selects the prefix's existing endpoint, or a free port.
func (k *Kind) open(ctx context.Context, key routekey.Key, port int) (*endpoint, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range k.endpoints[key] {
		if port == 0 || e.port == port {
			e.users++
			return e, nil
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		reason := "cannot be listened on"
		if errors.Is(err, syscall.EADDRINUSE) {
			reason = "is in use, by another function or another program"
		}
		return nil, problem.Newf(problem.Conflict, "the port %d of the Runtime API %s: choose another runtime_port, or none, for a free one",
			port, reason).WithCause(err)
	}
	name := arn.Name(key.String())
	e := &endpoint{
		key:   key,
		addr:  l.Addr().String(),
		port:  l.Addr().(*net.TCPAddr).Port,
		users: 1,
		Endpoint: runtimeapi.New(runtimeapi.Config{
			Name:   name,
			Budget: k.budget.For(key.String()),
			Log:    k.cfg.Log.With(slog.String("service", key.String())),
		}),
	}
	e.Start(l)
	k.endpoints[key] = append(k.endpoints[key], e)
	return e, nil
}

// drop removes a user. It closes the endpoint when no user is left.
func (k *Kind) drop(e *endpoint) {
	k.mu.Lock()
	e.users--
	last := e.users == 0
	if last {
		left := slices.DeleteFunc(k.endpoints[e.key], func(other *endpoint) bool { return other == e })
		if k.endpoints[e.key] = left; len(left) == 0 {
			delete(k.endpoints, e.key)
		}
	}
	k.mu.Unlock()
	if last {
		e.Close()
	}
}

// workers is the backend for workers that are started outside of the server.
type workers struct {
	kind     *Kind     // immutable
	endpoint *endpoint // immutable
	loops    int       // immutable
}

func (w *workers) invoke(ctx context.Context, _ *router.Request, in runtimeapi.Input, _ *accesslog.Result) (*runtimeapi.Reply, error) {
	in.Loops = w.loops
	return w.endpoint.Invoke(ctx, in)
}

func (w *workers) describe() string {
	s := w.endpoint.Stats()
	if !s.Asked {
		return fmt.Sprintf("AWS_LAMBDA_RUNTIME_API=%s, no worker yet", w.endpoint.addr)
	}
	return fmt.Sprintf("AWS_LAMBDA_RUNTIME_API=%s, %d waiting, %d busy", w.endpoint.addr, s.Waiting, s.Busy)
}

func (w *workers) warm() int { return w.endpoint.Stats().Waiting }

func (w *workers) state() string { return services.StateReady }

// scale does nothing: the server does not control these workers.
func (w *workers) scale() {}

func (w *workers) close() { w.kind.drop(w.endpoint) }
