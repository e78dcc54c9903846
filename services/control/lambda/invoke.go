package lambda

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/vespo-dev/vespo/internal/tail"
	"github.com/vespo-dev/vespo/services/event/invocation"
)

// Invocation types.
const (
	typeSync   = "RequestResponse"
	typeEvent  = "Event"
	typeDryRun = "DryRun"
)

// unhandled marks failures of functions.
const unhandled = "Unhandled"

// maxContextBytes bounds the client context in base64.
const maxContextBytes = 3583

// call is an invocation.
type call struct {
	invocation.Call
	log *tail.Writer // lines of the server, and the console output if the caller wants it
}

// callOf returns the call of an invocation, with an empty log.
func callOf(i invocation.Call) *call { return &call{Call: i, log: tail.New(invocation.TailBytes)} }

// newCall reads the invocation from the headers of a request.
func newCall(r *request) (*call, error) {
	c := callOf(invocation.Call{RequestID: r.id, TraceID: invocation.TraceID(r.Header.Get("X-Amzn-Trace-Id"), time.Now())})
	encoded := r.Header.Get("X-Amz-Client-Context")
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(encoded) > maxContextBytes || len(text) > 0 && !json.Valid(text) {
		return nil, unusable("Client context must be a valid Base64-encoded JSON object of at most %d bytes.", maxContextBytes)
	}
	if len(text) > 0 {
		var compact any // compacted, as header values may not hold line breaks
		_ = json.Unmarshal(text, &compact)
		if text, err = json.Marshal(compact); err != nil {
			return nil, err
		}
		c.ClientContext = string(text)
	}
	return c, nil
}

// newSyncCall is newCall for a client that may ask for the tail of the log.
func newSyncCall(r *request) (*call, error) {
	tail := false
	switch kind := r.Header.Get("X-Amz-Log-Type"); kind {
	case "", "None":
	case "Tail":
		tail = true
	default:
		return nil, invalid("the log type %.40q can be None or Tail", kind)
	}
	c, err := newCall(r)
	if err == nil && tail {
		c.Log = c.log
	}
	return c, err
}

// tail returns the tail of the log in base64, if the client has asked for it.
func (c *call) tail() (text string, wanted bool) {
	return base64.StdEncoding.EncodeToString(c.log.Bytes()), c.Log != nil
}

// calling returns the service that a request invokes, and the invocation as newOne reads it.
func (h *Handler) calling(r *request, newOne func(*request) (*call, error)) (target, *call, error) {
	t, err := h.find(r)
	if err != nil {
		return t, nil, err
	}
	c, err := newOne(r)
	return t, c, err
}

func (h *Handler) invoke(w http.ResponseWriter, r *request) error {
	t, c, err := h.calling(r, newSyncCall)
	if err != nil {
		return err
	}
	switch kind := r.Header.Get("X-Amz-Invocation-Type"); kind {
	case "", typeSync:
		return h.invokeSync(w, r, t, c)
	case typeEvent:
		if err := h.enqueue(r.Context(), t, c, r.body); err != nil {
			return err
		}
		w.WriteHeader(http.StatusAccepted)
		return nil
	case typeDryRun:
		w.WriteHeader(http.StatusNoContent)
		return nil
	default:
		return invalid("the invocation type %.40q can be %s, %s or %s", kind, typeSync, typeEvent, typeDryRun)
	}
}

func (h *Handler) invokeSync(w http.ResponseWriter, r *request, t target, c *call) error {
	o, err := h.call(r.Context(), t, c, r.body)
	defer func() { h.budget.For(t.name).Give(o.held) }()
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set("X-Amz-Executed-Version", t.executed)
	header.Set("X-Amzn-Trace-Id", c.TraceID)
	if o.failed != nil {
		header.Set("X-Amz-Function-Error", unhandled)
		o.output = o.failed.JSON()
	}
	if text, wanted := c.tail(); wanted {
		header.Set("X-Amz-Log-Result", text)
	}
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(o.output)))
	_, err = w.Write(o.output)
	return gone(err)
}

// gone discards a write error: the client has disconnected and cannot be told.
func gone(error) error { return nil }

func (h *Handler) invokeAsync(w http.ResponseWriter, r *request) error {
	t, c, err := h.calling(r, newCall)
	if err != nil {
		return err
	}
	if err := h.enqueue(r.Context(), t, c, r.body); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, err = w.Write([]byte(`{"Status":202}`))
	return gone(err)
}
