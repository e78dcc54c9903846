package runtimeapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/internal/access"
	"github.com/vespo-dev/vespo/services/internal/budget"
)

// Limits of a worker's connection.
const (
	headerTimeout = 10 * time.Second
	writeTimeout  = 30 * time.Second // for sending an event
	lateTimeout   = 10 * time.Second // for the rest of a result after the deadline
	maxHeader     = 1 << 20          // of a request: error causes for X-Ray are sent as a header
)

// refusal is an error response to a worker.
type refusal struct {
	status    int
	errorType string
	message   string
}

func (r *refusal) Error() string { return r.errorType + ": " + r.message }

var (
	errUnknownID = &refusal{http.StatusBadRequest, "InvalidRequestID", "no worker holds an invocation with this id"}
	errAnswered  = &refusal{http.StatusForbidden, "InvalidStateTransition", "the invocation with this id was answered before"}
	errMode      = &refusal{http.StatusBadRequest, "InvalidFunctionResponseMode", "the response mode can be streaming, or not be given"}
	errTooLarge  = &refusal{http.StatusRequestEntityTooLarge, "RequestEntityTooLarge",
		"the output is larger than " + strconv.Itoa(invocation.MaxOutputBytes) + " bytes"}
	errFull     = &refusal{http.StatusServiceUnavailable, "ServiceUnavailable", "too much is held for other invocations"}
	errCutOff   = &refusal{http.StatusBadRequest, "TruncatedBody", "the body could not be read to its end"}
	errNoPath   = &refusal{http.StatusNotFound, "NotFound", "the Runtime API has no such path, or not with this method"}
	errShutdown = &refusal{http.StatusServiceUnavailable, "ServiceUnavailable", "the function is being removed, or the server stops"}
)

// connKey is the context key of a connection's *conn.
type connKey struct{}

func (e *Endpoint) newServer() *http.Server {
	guard := access.New(access.Surface{Name: "the Runtime API"}, "")
	mux := http.NewServeMux()
	const invocations = "/2018-06-01/runtime/invocation/"
	for pattern, handler := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET " + invocations + "next":           e.serveNext,
		"POST " + invocations + "{id}/response": e.serveResponse,
		"POST " + invocations + "{id}/error":    e.serveError,
		"POST /2018-06-01/runtime/init/error":   e.serveInitError,
		"POST /2020-01-01/extension/register":   e.serveRegister,
		"GET /2020-01-01/extension/event/next":  e.serveExtensionEvent,
		"PUT /2020-08-15/logs":                  e.serveSubscription,
		"PUT /2022-07-01/telemetry":             e.serveSubscription,
		"/":                                     func(http.ResponseWriter, *http.Request) error { return errNoPath },
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := guard.CheckChange(r); err != nil {
				refuse(w, &refusal{http.StatusForbidden, "AccessDenied", problem.From(err).Detail})
			} else if err := handler(w, r); err != nil {
				refuse(w, err)
			}
		})
	}
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: headerTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(e.cfg.Log.Handler(), slog.LevelDebug),
		BaseContext:       func(l net.Listener) context.Context { return access.WithListener(context.Background(), l.Addr()) },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, e.opened(c))
		},
		ConnState: func(c net.Conn, s http.ConnState) {
			if s == http.StateClosed {
				e.closed(c)
			}
		},
	}
}

func refuse(w http.ResponseWriter, err error) {
	var r *refusal
	if !errors.As(err, &r) {
		return // the connection is lost
	}
	body, _ := json.Marshal(map[string]string{"errorMessage": r.message, "errorType": r.errorType})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(r.status)
	_, _ = w.Write(body)
}

func accept(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, err := io.WriteString(w, `{"status":"OK"}`)
	return err
}

func (e *Endpoint) serveNext(w http.ResponseWriter, r *http.Request) error {
	c := r.Context().Value(connKey{}).(*conn)
	if passing(r) {
		e.mu.Lock()
		c.passing = true
		e.mu.Unlock()
	}
	p, payload := e.take(r.Context(), c)
	if p == nil {
		return errShutdown
	}
	h := w.Header()
	for name, value := range map[string]string{
		"Lambda-Runtime-Aws-Request-Id":       p.id,
		"Lambda-Runtime-Deadline-Ms":          strconv.FormatInt(p.deadline.UnixMilli(), 10),
		"Lambda-Runtime-Invoked-Function-Arn": p.ARN,
		"Lambda-Runtime-Trace-Id":             p.TraceID,
		"Lambda-Runtime-Client-Context":       p.ClientContext,
	} {
		if value != "" {
			h.Set(name, value)
		}
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.FormatInt(payload.Len(), 10))
	var to client.Writer
	to.Begin(w, r.Context(), time.Now().Add(writeTimeout))
	defer to.Finish()
	if _, err := payload.WriteTo(&to); err != nil {
		e.complete(p, ErrWorkerLost)
		return err
	}
	return nil
}

// passing reports whether the client opens a connection for each
// request, so that closing one does not indicate its death.
func passing(r *http.Request) bool {
	agent := strings.ToLower(r.UserAgent())
	return r.Close || !r.ProtoAtLeast(1, 1) || strings.HasPrefix(agent, "curl/") || strings.HasPrefix(agent, "wget/")
}

func (e *Endpoint) serveError(w http.ResponseWriter, r *http.Request) error {
	p, err := e.begin(r.PathValue("id"), r.Context().Value(connKey{}).(*conn))
	if err != nil {
		return err
	}
	if p == nil {
		return drop(w, r)
	}
	body := newBody(w, r, p.deadline)
	defer body.Stop()
	text, taken, err := e.cfg.Budget.ReadAll(body, invocation.MaxOutputBytes)
	defer e.cfg.Budget.Give(taken)
	if err != nil {
		e.complete(p, readError(err))
		return refusalOf(err)
	}
	e.complete(p, told(append([]byte(nil), text...), r.Header.Get("Lambda-Runtime-Function-Error-Type")))
	return accept(w)
}

func (e *Endpoint) serveInitError(w http.ResponseWriter, r *http.Request) error {
	body := newBody(w, r, time.Now())
	defer body.Stop()
	text, err := io.ReadAll(io.LimitReader(body, maxInitErrorBytes))
	if err != nil {
		return errCutOff
	}
	why := told(text, r.Header.Get("Lambda-Runtime-Function-Error-Type"))
	e.cfg.Log.Warn("a worker could not start", slog.String("type", why.Type), slog.String("message", why.Message))
	e.refuseAll(why)
	return accept(w)
}

// maxInitErrorBytes bounds the error that a worker reports when it fails to start.
const maxInitErrorBytes = 64 << 10

// newBody returns the body of a request, which must end shortly after the deadline of the
// invocation. The caller stops waiting at the deadline itself.
func newBody(w http.ResponseWriter, r *http.Request, deadline time.Time) *client.Body {
	return client.NewBody(w, r, client.Terms{Until: deadline.Add(lateTimeout)})
}

// drop accepts and discards a result that no caller waits
// for. Refusing it would look like an error of the worker.
func drop(w http.ResponseWriter, r *http.Request) error {
	terms := client.Terms{Bytes: invocation.MaxOutputBytes, Until: time.Now().Add(lateTimeout)}
	switch client.Drain(w, r, r.Body, terms) {
	case client.Complete, client.TooLarge:
		return accept(w)
	}
	return errCutOff
}

func refusalOf(err error) error {
	switch {
	case errors.Is(err, budget.ErrTooLong):
		return errTooLarge
	case errors.Is(err, budget.ErrExhausted):
		return errFull
	}
	return errCutOff
}

// limited is a listener that closes connections beyond its limit at once.
type limited struct {
	net.Listener
	places chan struct{}
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.places <- struct{}{}:
			return &limitedConn{Conn: c, release: sync.OnceFunc(func() { <-l.places })}, nil
		default:
			_ = c.Close()
		}
	}
}

// limitedConn releases its place when it is closed.
type limitedConn struct {
	net.Conn
	release func()
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
