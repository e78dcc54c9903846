package lambda

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/events"
)

// maxEventBytes bounds the payload of an Event.
const maxEventBytes = 1 << 20

// maxThrottles is the number of retries of an event for lack
// of capacity. The delay doubles from one second to a minute.
const maxThrottles = 20

// maxPause is the longest delay before such a retry.
const maxPause = time.Minute

// event is an asynchronous invocation.
type event struct {
	target  target
	call    *invocation.Call
	payload []byte
	events.Progress
}

// storedEvent is the head of a stored event: all but its payload.
type storedEvent struct {
	Name      string `json:"name"`
	Service   string `json:"service"` // routekey.Key in its String form
	ARN       string `json:"arn"`
	Executed  string `json:"executed"`
	RequestID string `json:"request_id"`
	TraceID   string `json:"trace_id"`
	Context   string `json:"client_context,omitempty"`
}

// errEvent is matched by errors about a stored event that this program cannot read.
var errEvent = errors.New("the stored event has no known form")

// encode returns the stored form: the length of the head in 4 bytes, the head in JSON, and the payload.
func (e *event) encode() []byte {
	head, err := json.Marshal(storedEvent{
		Name:      e.target.name,
		Service:   e.target.key.String(),
		ARN:       e.target.arn,
		Executed:  e.target.executed,
		RequestID: e.call.RequestID,
		TraceID:   e.call.TraceID,
		Context:   e.call.ClientContext,
	})
	if err != nil { // strings always marshal
		panic("lambda: an event cannot be encoded: " + err.Error())
	}
	content := make([]byte, 0, 4+len(head)+len(e.payload))
	content = binary.BigEndian.AppendUint32(content, uint32(len(head)))
	return append(append(content, head...), e.payload...)
}

// decodeEvent parses the stored form of an event. The kind of its target is not set.
func decodeEvent(content []byte) (*event, error) {
	if len(content) < 4 || uint64(binary.BigEndian.Uint32(content)) > uint64(len(content)-4) {
		return nil, fmt.Errorf("%w: it is too short", errEvent)
	}
	end := 4 + binary.BigEndian.Uint32(content)
	var s storedEvent
	if err := json.Unmarshal(content[4:end], &s); err != nil {
		return nil, fmt.Errorf("%w: %w", errEvent, err)
	}
	key, err := routekey.Parse(s.Service)
	if err != nil || s.Name == "" || s.RequestID == "" {
		return nil, fmt.Errorf("%w: its head is not complete", errEvent)
	}
	return &event{
		target:  target{name: s.Name, key: key, arn: s.ARN, executed: s.Executed},
		call:    &invocation.Call{RequestID: s.RequestID, TraceID: s.TraceID, ClientContext: s.Context},
		payload: content[end:],
	}, nil
}

// enqueue validates an event and stores it.
func (h *Handler) enqueue(ctx context.Context, t target, c *call, payload []byte) error {
	if len(payload) > maxEventBytes {
		return tooLarge(maxEventBytes)
	}
	if _, err := h.requestFor(context.Background(), t, c, payload); err != nil {
		return err
	}
	if !h.cfg.Shared && h.cfg.Catalogue.Away(t.key) {
		return fail(http.StatusServiceUnavailable, "ServiceException", "the function is on other hosts, which do not see the events of this one")
	}
	return h.backlog.accept(ctx, &event{target: t, call: &c.Call, payload: payload})
}

// carryOut invokes a service with an event. It returns the delay before
// the next attempt (0: done), or the final error once no retry can help.
func (h *Handler) carryOut(ctx context.Context, e *event) (retry time.Duration, final error) {
	o, err := h.callPresent(ctx, e)
	defer h.budget.For(e.target.name).Give(o.held)
	failed, err := o.undone(ctx, err)
	var f *failure
	switch {
	case err == nil && failed == nil:
		return 0, nil
	case err == nil:
		if e.Attempts++; e.Attempts > len(h.cfg.Retries) {
			return 0, failed
		}
		return h.cfg.Retries[e.Attempts-1], nil
	case errors.As(err, &f) && f.status == http.StatusNotFound && h.cfg.Shared: // this host may be behind
	case errors.As(err, &f) && f.status < http.StatusInternalServerError && f.status != http.StatusTooManyRequests:
		return 0, err
	}
	elsewhere := h.cfg.Shared && o.told != nil && o.told.Kind() == problem.NoHost // a host that has the service will take the event
	if e.Throttles++; e.Throttles > maxThrottles && !elsewhere {
		return 0, err
	}
	pause := min(maxPause, time.Second<<min(e.Throttles-1, 6))
	return pause/2 + rand.N(pause/2+1), nil
}

// undone returns the failure of a service, or the error if the server could not invoke it; nil if the event is done. An answer of
// this server in place of a service's own is no success, unless it is about the event.
func (o *outcome) undone(ctx context.Context, err error) (failed, refused error) {
	switch {
	case err != nil:
		return nil, err
	case o.failed != nil:
		return o.failed, nil
	case o.told == nil:
		return nil, nil
	case o.told.Status == http.StatusServiceUnavailable || o.told.Status == http.StatusTooManyRequests:
		return nil, ofProblem(o.told)
	case o.told.Status >= http.StatusInternalServerError || ctx.Err() != nil:
		return ofProblem(o.told), nil
	}
	return nil, nil
}

// callPresent invokes the service of an event, unless it was removed.
func (h *Handler) callPresent(ctx context.Context, e *event) (outcome, error) {
	entry, err := h.cfg.Catalogue.Inspect(e.target.key)
	if errors.Is(err, registry.ErrNotFound) {
		return outcome{}, notFound("Function not found: %s", e.target.arn)
	}
	if err != nil {
		return outcome{}, err
	}
	e.target.kind = entry.Service.Current.Kind
	return h.call(ctx, e.target, callOf(*e.call), e.payload)
}
