package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/events"
)

// retriesExhausted is the condition of events whose attempts have failed.
const retriesExhausted = "RetriesExhausted"

// maxReasonBytes bounds the reason that is stored with an event whose dead letter cannot be written.
const maxReasonBytes = 64 << 10

// errLost is the error of an event whose attempts had no result.
var errLost = errors.New("the server ended during each of several attempts, or did not store their results")

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

// end is why an event was given up, as it is stored until the dead letter is written.
type end struct {
	Condition string          `json:"condition"`
	Response  json.RawMessage `json:"response,omitempty"`
}

// giveUp ends an event with a dead letter.
func (q *backlog) giveUp(stop context.Context, t events.Taken, e *event, condition string, cause error) {
	q.cfg.Log.Warn("an event was given up", slog.String("function", e.target.arn), slog.String("request_id", e.call.RequestID),
		slog.String("condition", condition), slog.Any("error", cause))
	why := end{Condition: condition}
	var told *invocation.Error
	switch {
	case errors.As(cause, &told):
		why.Response = told.JSON()
	case cause != nil:
		why.Response, _ = json.Marshal(map[string]string{"errorMessage": cause.Error()}) // strings always marshal
	}
	if !json.Valid(why.Response) {
		why.Response = nil
	}
	final, err := json.Marshal(why)
	if err != nil { // no part can fail
		final = []byte(`{}`)
	}
	e.Final = final
	q.bury(stop, t, e)
}

// bury writes the dead letter of an event and ends it. If that fails, the event stays until the letter is written.
func (q *backlog) bury(stop context.Context, t events.Taken, e *event) {
	var why end
	_ = json.Unmarshal(e.Final, &why) // what cannot be read is left out
	l := letter{
		Version:        "1.0",
		Timestamp:      time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
		RequestPayload: e.payload,
		Response:       why.Response,
		RequestContext: letterContext{
			RequestID:   e.call.RequestID,
			FunctionARN: e.target.arn,
			Condition:   why.Condition,
			InvokeCount: e.Attempts + e.Throttles,
		},
	}
	if !json.Valid(e.payload) {
		l.RequestPayload = json.RawMessage("null")
	}
	line, err := json.Marshal(l)
	if err == nil {
		q.letters.Lock()
		_, err = q.cfg.DeadLetters.Write(append(line, '\n'))
		q.letters.Unlock()
	}
	if err == nil {
		q.buried.Add(1)
		q.settle(stop, t, q.done(t))
		return
	}
	q.cfg.Log.Error("a dead letter could not be written: it is tried again", slog.String("request_id", e.call.RequestID), slog.Any("error", err))
	if len(e.Final) > maxReasonBytes {
		e.Final, _ = json.Marshal(end{Condition: why.Condition}) // a string always marshals
	}
	q.settle(stop, t, q.retry(t, maxPause, e.Progress))
}
