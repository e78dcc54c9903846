package queue

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services/internal/access"
	"github.com/vespo-dev/vespo/services/internal/budget"
	"github.com/vespo-dev/vespo/services/kinds/queue/internal/prack"
	"github.com/vespo-dev/vespo/services/kinds/queue/internal/stored"
)

const (
	pollTimeout = 5 * time.Second // for which a worker waits for a request
	maxPolls    = 512             // waiting workers
	writeBytes  = 32 << 10        // buffer size for writing a request
	parseFactor = 2               // additional bytes per byte that parsing an answer needs
)

// Texts of Prack.
const (
	textNothing = "There are no requests pending"
	textThanks  = "thank you"
	textOver    = "no request waits for an answer with this identifier: it was answered, or its time is over"
)

// apiPath is the prefix of all paths.
const apiPath = "/api/v1"

// pathOf returns the path where workers fetch the requests of a prefix, including its header match.
func pathOf(key routekey.Key) string {
	if key == (routekey.Key{Prefix: "/"}) {
		return apiPath + "/%2F/request"
	}
	path := url.URL{Path: apiPath + key.String() + "/request"}
	return path.EscapedPath()
}

// workers is the API for workers. It implements http.Handler.
type workers struct {
	kind  *Kind         // immutable
	guard *access.Guard // immutable
	polls chan struct{} // holds one token for each waiting worker
}

func newWorkers(k *Kind) *workers {
	return &workers{kind: k, guard: newGuard(k.cfg.Token), polls: make(chan struct{}, maxPolls)}
}

// failure is an error response to a worker.
type failure struct {
	status int
	text   string
}

// again returns the failure for an error of the store, which may be temporary.
func again(text string) error { return &failure{http.StatusServiceUnavailable, text} }

// Error implements error.
func (f *failure) Error() string { return f.text }

// ServeHTTP implements http.Handler.
func (ws *workers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := ws.serve(w, r)
	var told *failure
	switch {
	case err == nil:
		return
	case errors.As(err, &told):
	default:
		p := problem.From(err)
		told = &failure{p.Status, p.Detail}
		if p.Status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Bearer realm="vespo"`)
		}
	}
	if told.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	say(w, told.status, "error", told.text)
}

// say writes a JSON response with one member.
func say(w http.ResponseWriter, status int, member, text string) {
	body, err := json.Marshal(map[string]string{member: text})
	if err != nil {
		panic("queue: a string cannot be encoded: " + err.Error())
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a write error cannot be reported
}

func (ws *workers) serve(w http.ResponseWriter, r *http.Request) error {
	if err := ws.guard.CheckChange(r); err != nil {
		return err
	}
	name, operation, err := parsePath(r.URL.Path)
	if err != nil {
		return err
	}
	switch {
	case r.Method == http.MethodGet && operation == "request":
		return ws.poll(w, r, name)
	case r.Method == http.MethodPost:
		return ws.answer(w, r, name)
	}
	return &failure{http.StatusMethodNotAllowed, "use GET .../request to take a request, and POST .../response to answer it"}
}

// parsePath splits a path into the prefix of the service,
// empty if the path names none, and "request" or "response".
func parsePath(path string) (name routekey.Key, operation string, err error) {
	notFound := &failure{http.StatusNotFound, "there is no such path: use /api/v1/request, /api/v1/response, or /api/v1/{service}/request and /response"}
	rest, found := strings.CutPrefix(path, apiPath+"/")
	if !found {
		return routekey.Key{}, "", notFound
	}
	end := strings.LastIndexByte(rest, '/')
	if operation = rest[end+1:]; operation != "request" && operation != "response" {
		return routekey.Key{}, "", notFound
	}
	if end < 0 {
		return routekey.Key{}, operation, nil
	}
	service := rest[:end]
	if service == "" {
		return routekey.Key{}, "", &failure{http.StatusNotFound, "the name of the service is empty; that of the prefix / is %2F"}
	}
	key, err := routekey.Parse("/" + strings.TrimPrefix(service, "/"))
	if err != nil {
		return routekey.Key{}, "", &failure{http.StatusNotFound, fmt.Sprintf("%.100q is not the prefix of a service", service)}
	}
	return key, operation, nil
}

// poll hands out a request, waiting for one if necessary.
func (ws *workers) poll(w http.ResponseWriter, r *http.Request, name routekey.Key) error {
	select {
	case ws.polls <- struct{}{}:
		defer func() { <-ws.polls }()
	default:
		return &failure{http.StatusServiceUnavailable, "too many workers wait for requests; try again"}
	}
	ctx, cancel := context.WithTimeout(r.Context(), pollTimeout)
	defer cancel()
	for {
		o, err := ws.next(ctx, name)
		if err != nil {
			return err
		}
		if r.Context().Err() != nil {
			o.line.giveBack(r.Context(), o)
			return &failure{http.StatusNotFound, textNothing}
		}
		if err := ws.handOut(r.Context(), w, o); !errors.Is(err, stored.ErrEnded) {
			return err
		}
	}
}

// next waits for a request. It also waits if the queue does not exist, because workers would retry at once.
func (ws *workers) next(ctx context.Context, name routekey.Key) (*order, error) {
	l, nobody := ws.kind.lineOf(name), "there is no queue with the prefix "+name.String()
	if name.IsZero() {
		var earlier []*line
		l, earlier = ws.kind.defaults()
		nobody = "there is no default queue: name one, as in /api/v1/{service}/request, or deploy one with default"
		for _, e := range earlier {
			if o, _ := e.takeAny(ctx); o != nil { // the current one reports errors
				return o, nil
			}
		}
	}
	if l == nil {
		<-ctx.Done()
		return nil, &failure{http.StatusNotFound, nobody}
	}
	switch o, err := l.next(ctx); {
	case o != nil:
		return o, nil
	case err != nil:
		l.complain("workers get no requests from the engine of the queues", err)
		return nil, again("the engine of the queues cannot be used: try again")
	}
	return nil, &failure{http.StatusNotFound, textNothing}
}

// handOut sends a request to a worker. If that fails, the request returns to the
// queue. The error is stored.ErrEnded if the stored request is damaged and has ended.
func (ws *workers) handOut(ctx context.Context, w http.ResponseWriter, o *order) error {
	body := o.body
	if o.stored != "" {
		text, err := o.line.load(o)
		if body = budget.BodyOf(text); err != nil {
			if errors.Is(err, stored.ErrEnded) || errors.Is(err, stored.ErrNotFound) {
				o.line.leave(o.job)
				return stored.ErrEnded
			}
			o.line.giveBack(ctx, o)
			o.line.complain("a stored request cannot be handed out", err)
			return again("the server could not prepare the request: try again")
		}
	}
	m := prack.NewRequest(o.leaseID, o.environment, body.Chunks())
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(m.Len()))
	h.Set("Cache-Control", "no-store")
	buffered := bufio.NewWriterSize(w, writeBytes)
	_, err := m.WriteTo(buffered)
	if err == nil {
		err = buffered.Flush()
	}
	if err == nil {
		err = client.ConnOf(w).Flush()
	}
	if err != nil {
		o.line.giveBack(ctx, o)
	}
	return nil
}

// answer processes the answer to a request.
func (ws *workers) answer(w http.ResponseWriter, r *http.Request, name routekey.Key) error {
	most := prack.MaxMessageBytes(ws.kind.cfg.MaxBodyBytes)
	account := ws.kind.replies.For(name.String())
	body := client.NewBody(w, r, client.Terms{Pace: client.Collected()})
	defer body.Stop()
	text, held, err := account.ReadAll(body, most)
	defer func() { account.Give(held) }()
	switch {
	case errors.Is(err, budget.ErrTooLong):
		return ws.tooLong(r.Context(), name, text, most)
	case errors.Is(err, budget.ErrExhausted):
		return overBudget()
	case err != nil:
		return &failure{http.StatusBadRequest, "the body could not be read"}
	}
	parsing := parseFactor * int64(len(text))
	if !account.Take(parsing) {
		return overBudget()
	}
	defer account.Give(parsing)
	id, answer, err := prack.Parse(text, ws.kind.cfg.MaxBodyBytes)
	if errors.Is(err, prack.ErrNoIdentifier) {
		return &failure{http.StatusNotFound, err.Error()}
	}
	reply := &reply{Answer: answer, unusable: err, held: account}
	if answer != nil {
		reply.heldBytes = min(held, int64(len(answer.Body)))
	}
	j, err := ws.deliver(r.Context(), name, id, reply)
	if j != nil && j.stored == "" {
		held -= reply.heldBytes // now owned by the client's exchange
	}
	switch {
	case err != nil:
		return err
	case reply.unusable != nil:
		return &failure{http.StatusBadRequest, "Backend error: " + reply.unusable.Error()}
	}
	say(w, http.StatusOK, "message", textThanks)
	return nil
}

func overBudget() error {
	return &failure{http.StatusServiceUnavailable, "too many answers are on their way to clients; send it again"}
}

// tooLong fails the request whose answer begins with beginning.
func (ws *workers) tooLong(ctx context.Context, name routekey.Key, beginning []byte, most int64) error {
	err := fmt.Errorf("the answer has more than the %d bytes that are taken", most)
	if id := prack.Identifier(beginning); id != "" {
		if _, err := ws.deliver(ctx, name, id, &reply{unusable: err}); err != nil {
			return err
		}
	}
	return &failure{http.StatusRequestEntityTooLarge, err.Error()}
}

// deliver hands the reply to the waiting request. Lease ids are unguessable,
// so without a service name all queues are searched. It returns an error if no
// request waits, or if the reply could not be stored and must be sent again.
func (ws *workers) deliver(ctx context.Context, name routekey.Key, id string, r *reply) (*job, error) {
	lines, prefix := ws.kind.all(), ""
	if !name.IsZero() {
		lines, prefix = nil, name.String()
		if l := ws.kind.lineOf(name); l != nil {
			lines = append(lines, l)
		}
	}
	shared := false
	for _, l := range lines {
		shared = shared || l.shares()
		j := l.leased(id)
		if j == nil {
			continue
		}
		if j.stored == "" {
			if j = l.answer(id, r); j == nil {
				break // the lease has just ended
			}
			return j, nil
		}
		switch err := l.finish(j, r); {
		case err == nil:
			l.leave(j) // after the write to disk
			return j, nil
		case errors.Is(err, stored.ErrEnded), errors.Is(err, stored.ErrNotFound):
			l.leave(j)
		default: // the lease remains, so that the worker can retry
			l.complain("an answer could not be stored", err)
			return j, again("the answer could not be stored: send it again")
		}
		break
	}
	if shared {
		return nil, ws.deliverShared(ctx, prefix, id, r)
	}
	return nil, &failure{http.StatusNotFound, textOver}
}
