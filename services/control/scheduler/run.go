package scheduler

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/forwarded"
	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/internal/arn"
	"github.com/vespo-dev/vespo/services/schedule"
)

const (
	// remote is the address of the client in access records and for services.
	remote = "vespo:schedule"
	// host is the Host of the requests.
	host      = "localhost"
	userAgent = "vespo-schedule"
	// maxDetailBytes bounds the reason of a failure.
	maxDetailBytes = 300
)

// call is one request of a schedule.
type call struct {
	key      routekey.Key
	function bool // the service takes events
	schedule *schedule.Schedule
	time     time.Time // that the request is for
	keep     int       // bytes of the answer's body
}

// request returns the request, and what the router gets with it.
func (c *call) request(ctx context.Context) (*http.Request, router.Own, error) {
	own := router.Own{
		Key: c.key,
		Header: http.Header{
			httpfield.ScheduleHeader:     {c.schedule.Cron},
			httpfield.ScheduleTimeHeader: {c.time.UTC().Format(time.RFC3339)},
		},
	}
	method, target := cmp.Or(c.schedule.Method, http.MethodPost), cmp.Or(c.schedule.Target, "/")
	var body []byte
	if c.function && c.schedule.Default() {
		id := invocation.NewID()
		name := arn.Name(string(c.key.Prefix))
		own.Call = &invocation.Call{
			RequestID:   id,
			FunctionARN: arn.Format(name, ""),
			TraceID:     invocation.TraceID("", time.Now()),
		}
		ctx = forwarded.WithID(ctx, id)
		var err error
		if body, err = c.schedule.Event(c.key, id, c.time); err != nil {
			return nil, own, err
		}
		target = ""
	}
	uri := cmp.Or(strings.TrimSuffix(string(c.key.Prefix), "/")+target, "/")
	r, err := http.NewRequestWithContext(ctx, method, uri, bytes.NewReader(body))
	if err != nil {
		return nil, own, err
	}
	r.RequestURI, r.RemoteAddr, r.Host = uri, remote, host
	r.Header.Set("User-Agent", userAgent)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	} else {
		r.Body = http.NoBody
	}
	return r, own, nil
}

// serve lets the service answer, and returns the answer with the record of its end.
func (s *Scheduler) serve(ctx context.Context, c *call, rec Record) (*answer, Record) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.RunTimeout)
	defer cancel()
	a := newAnswer(c.keep)
	r, own, err := c.request(ctx)
	if err == nil {
		err = s.cfg.Dispatcher.DispatchOwn(own, a, r)
	}
	rec.Ended, rec.Outcome, rec.Status = s.now(), OutcomeOK, a.status
	if id := a.header[router.RequestIDHeader]; len(id) > 0 {
		rec.RequestID = id[0]
	}
	if err != nil || a.full {
		rec.Detail, rec.Status = reason(err, a)
	}
	if rec.Detail != "" || rec.Status >= http.StatusBadRequest {
		rec.Outcome = OutcomeFailed
	}
	return a, rec
}

// reason returns why a request failed, and the status that a client would have got.
func reason(err error, a *answer) (detail string, status int) {
	var failed *invocation.Error
	switch {
	case errors.As(err, &failed):
		return cut(failed.Error()), http.StatusBadGateway
	case a.full:
		return errAnswerTooLong.Error(), a.status
	case errors.Is(err, http.ErrAbortHandler):
		return "the answer broke off", a.status
	}
	p := problem.From(err)
	return cut(p.Title + ": " + p.Detail), p.Status
}

// cut bounds a text.
func cut(text string) string {
	if len(text) <= maxDetailBytes {
		return text
	}
	return strings.ToValidUTF8(text[:maxDetailBytes], "") + "..."
}

// isFunction reports whether services of a kind take events.
func (s *Scheduler) isFunction(kind string) bool { return slices.Contains(s.cfg.Functions, kind) }
