package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/internal/budget"
)

// maxEventBytes bounds the payload of an Event.
const maxEventBytes = 1 << 20

// maxThrottles is the number of retries of an event for lack
// of capacity. The delay doubles from one second to a minute.
const maxThrottles = 20

// maxPause is the longest delay before such a retry.
const maxPause = time.Minute

// stopped is the condition of events that were still queued at shutdown.
const stopped = "ServerStopped"

// event is an asynchronous invocation.
type event struct {
	target    target
	call      *invocation.Call
	payload   []byte
	attempts  int // failed by the function
	throttles int // refused for lack of capacity
}

// events is the queue of events. It is safe for concurrent use.
type events struct {
	cfg    *Config
	bytes  *budget.Budget // for queued payloads
	queue  chan *event
	places chan struct{} // one for each accepted event until it is done, including those waiting for a retry

	mu   sync.Mutex // also serialises writes of dead letters, so that lines stay whole
	over bool       // guarded by mu
}

func newEvents(cfg *Config) *events {
	return &events{cfg: cfg, bytes: budget.New(cfg.EventBytes), queue: make(chan *event, cfg.Events), places: make(chan struct{}, cfg.Events)}
}

// enqueue validates an event and queues it.
func (h *Handler) enqueue(t target, c *call, payload []byte) error {
	if len(payload) > maxEventBytes {
		return tooLarge(maxEventBytes)
	}
	if _, err := h.requestFor(context.Background(), t, c, payload); err != nil {
		return err
	}
	e := &event{target: t, call: &c.Call, payload: bytes.Clone(payload)} // clone, as the read buffer is larger
	return h.events.accept(e)
}

func (q *events) accept(e *event) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.over {
		return fail(http.StatusServiceUnavailable, "ServiceException", "the server is shutting down")
	}
	full := busy("EventQueueFull", "too many events are queued; try again later")
	if !q.bytes.For(e.target.name).Take(int64(len(e.payload))) {
		return full
	}
	select {
	case q.places <- struct{}{}:
	default:
		q.bytes.For(e.target.name).Give(int64(len(e.payload)))
		return full
	}
	q.queue <- e // never blocks: it has the capacity of places
	return nil
}

// done releases the resources of an event.
func (q *events) done(e *event) {
	q.bytes.For(e.target.name).Give(int64(len(e.payload)))
	<-q.places
}

// run processes events until ctx is done.
func (q *events) run(ctx context.Context, carryOut func(context.Context, *event) (retry time.Duration, final error)) {
	var workers sync.WaitGroup
	for range q.cfg.Parallel {
		workers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case e := <-q.queue:
					if ctx.Err() != nil { // select may have chosen either case
						q.bury(e, stopped, nil)
						return
					}
					q.attempt(ctx, &workers, e, carryOut)
				}
			}
		})
	}
	workers.Wait()
	q.mu.Lock()
	q.over = true
	q.mu.Unlock()
	for len(q.queue) > 0 {
		e := <-q.queue
		q.bury(e, stopped, nil)
	}
}

// attempt processes an event once, then finishes it, buries it or schedules a retry.
func (q *events) attempt(ctx context.Context, owned *sync.WaitGroup, e *event, carryOut func(context.Context, *event) (time.Duration, error)) {
	retry, final := carryOut(context.WithoutCancel(ctx), e) // a running invocation is bounded by the service, not by ctx
	switch {
	case final != nil:
		q.bury(e, "RetriesExhausted", final)
	case retry == 0:
		q.done(e)
	default:
		owned.Go(func() { q.later(ctx, retry, e) })
	}
}

// later queues an event again after pause. At shutdown it does
// so at once, and run writes the event to the dead letters.
func (q *events) later(ctx context.Context, pause time.Duration, e *event) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	q.queue <- e // never blocks: the event still holds its place
}

// carryOut invokes a service with an event. It returns the delay before
// the next attempt (0: done), or the final error once no retry can help.
func (h *Handler) carryOut(ctx context.Context, e *event) (retry time.Duration, final error) {
	o, err := h.call(ctx, e.target, callOf(*e.call), e.payload)
	defer h.budget.For(e.target.name).Give(o.held)
	var f *failure
	switch {
	case err == nil && o.failed == nil:
		return 0, nil
	case err == nil:
		if e.attempts++; e.attempts > len(h.cfg.Retries) {
			return 0, o.failed
		}
		return h.cfg.Retries[e.attempts-1], nil
	case errors.As(err, &f) && f.status < http.StatusInternalServerError && f.status != http.StatusTooManyRequests:
		return 0, err
	}
	if e.throttles++; e.throttles > maxThrottles {
		return 0, err
	}
	pause := min(maxPause, time.Second<<min(e.throttles-1, 6))
	return pause/2 + rand.N(pause/2+1), nil
}

// letter is a dead letter, in the form of the records that Lambda sends to the destination for failed events.
type letter struct {
	Version        string          `json:"version"`
	Timestamp      string          `json:"timestamp"`
	RequestContext letterContext   `json:"requestContext"`
	RequestPayload json.RawMessage `json:"requestPayload"`
	Response       json.RawMessage `json:"responsePayload,omitempty"`
}

type letterContext struct {
	RequestID   string `json:"requestId"`
	FunctionARN string `json:"functionArn"`
	Condition   string `json:"condition"`
	InvokeCount int    `json:"approximateInvokeCount"`
}

// bury writes an event to the dead letters and releases it.
func (q *events) bury(e *event, condition string, cause error) {
	defer q.done(e)
	l := letter{
		Version:        "1.0",
		Timestamp:      time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
		RequestPayload: e.payload,
		RequestContext: letterContext{RequestID: e.call.RequestID, FunctionARN: e.target.arn, Condition: condition, InvokeCount: e.attempts + e.throttles},
	}
	if len(e.payload) == 0 {
		l.RequestPayload = json.RawMessage("null")
	}
	var told *invocation.Error
	if errors.As(cause, &told) {
		l.Response = told.JSON()
	} else if cause != nil {
		l.Response, _ = json.Marshal(map[string]string{"errorMessage": cause.Error()}) // strings always marshal
	}
	line, err := json.Marshal(l)
	if err == nil {
		q.mu.Lock()
		_, err = q.cfg.DeadLetters.Write(append(line, '\n'))
		q.mu.Unlock()
	}
	if err != nil {
		q.cfg.Log.Error("a dead letter could not be written", slog.String("request_id", e.call.RequestID), slog.Any("error", err))
	}
	q.cfg.Log.Warn("an event was given up", slog.String("function", e.target.arn), slog.String("request_id", e.call.RequestID),
		slog.String("condition", condition), slog.Any("error", cause))
}
