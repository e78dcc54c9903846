package lambda

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/services/control/lambda/eventstream"
	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/internal/recorder"
)

// chunkBytes is the longest payload of a message.
const chunkBytes = 64 << 10

// chunkTimeout is the write deadline of a message.
const chunkTimeout = 30 * time.Second

// invokeStreaming streams the output. Failures after the first byte are sent in the stream.
func (h *Handler) invokeStreaming(w http.ResponseWriter, r *request) error {
	t, err := h.find(r)
	if err != nil {
		return err
	}
	tail, err := wantsLog(r)
	if err != nil {
		return err
	}
	c, err := newCall(r)
	if err != nil {
		return err
	}
	c.WantsLog = tail
	switch kind := r.Header.Get("X-Amz-Invocation-Type"); {
	case kind == typeDryRun:
		w.WriteHeader(http.StatusNoContent)
		return nil
	case kind != "" && kind != typeSync:
		return invalid("the invocation type %.40q can be %s or %s here", kind, typeSync, typeDryRun)
	}
	if !h.isFunction(t.kind) {
		return h.streamWhole(w, r, t, c, tail)
	}
	in, err := h.requestFor(r.Context(), t, c, r.body)
	if err != nil {
		return err
	}
	end, err := h.running.begin(t.name, h.book.get(t.name).Concurrency)
	if err != nil {
		return err
	}
	defer end()
	out := &streamer{to: w, control: http.NewResponseController(w), call: c, version: t.executed, refusal: h.recorder(t)}
	defer func() { h.budget.For(t.name).Give(out.refusal.Held) }()
	complete := h.dispatch(t, c, out, in)
	switch {
	case !out.begun && out.refusal.Status != 0 && out.refusal.Status != http.StatusOK:
		return problemOf(out.refusal)
	case c.Late != nil:
		out.complete(c.Late, c, tail)
	case c.Failure != "":
		out.complete(invocation.ParseError(out.refusal.Body.Bytes(), ""), c, tail)
	case !complete:
		out.complete(brokenOff(), c, tail)
	default:
		out.complete(nil, c, tail)
	}
	return nil
}

// streamWhole streams the response of a service that is not a
// function. The encoded response is known only once it is complete.
func (h *Handler) streamWhole(w http.ResponseWriter, r *request, t target, c *invocation.Call, tail bool) error {
	o, err := h.call(r.Context(), t, c, r.body)
	defer func() { h.budget.For(t.name).Give(o.held) }()
	if err != nil {
		return err
	}
	out := &streamer{to: w, control: http.NewResponseController(w), call: c, version: t.executed, refusal: h.recorder(t)}
	if o.failure != "" {
		out.complete(invocation.ParseError(o.output, ""), c, tail)
		return nil
	}
	if _, err := out.Write(o.output); err != nil {
		return gone(err)
	}
	out.complete(nil, c, tail)
	return nil
}

// streamer is an http.ResponseWriter that sends its output as messages. The failure
// of the function or an error response of the server is recorded instead of sent.
type streamer struct {
	to      http.ResponseWriter
	control *http.ResponseController
	call    *invocation.Call
	version string
	refusal *recorder.Recorder
	begun   bool
	buf     []byte
}

// Header implements http.ResponseWriter.
func (s *streamer) Header() http.Header { return s.refusal.Header() }

// WriteHeader implements http.ResponseWriter.
func (s *streamer) WriteHeader(status int) { s.refusal.WriteHeader(status) }

// Write implements http.ResponseWriter.
func (s *streamer) Write(p []byte) (int, error) {
	s.WriteHeader(http.StatusOK)
	if s.refusal.Status != http.StatusOK || s.call.Failure != "" {
		return s.refusal.Write(p)
	}
	s.begin()
	total := len(p)
	for len(p) > 0 {
		n := min(len(p), chunkBytes)
		if err := s.send("PayloadChunk", "application/octet-stream", p[:n]); err != nil {
			return total - len(p), err
		}
		p = p[n:]
	}
	return total, nil
}

// FlushError makes http.ResponseController.Flush succeed. Every message is flushed when it is sent.
func (s *streamer) FlushError() error { return nil }

// begin sends the status and header once.
func (s *streamer) begin() {
	if s.begun {
		return
	}
	s.begun = true
	h := s.to.Header()
	h.Set("Content-Type", eventstream.ContentType)
	h.Set("X-Amz-Executed-Version", s.version)
	s.to.WriteHeader(http.StatusOK)
}

func (s *streamer) send(eventType, contentType string, payload []byte) (err error) {
	if s.buf, err = eventstream.Append(s.buf[:0], eventstream.Event(eventType, contentType), payload); err != nil {
		return err
	}
	_ = s.control.SetWriteDeadline(time.Now().Add(chunkTimeout)) // errors are ignored: a connection without deadlines needs none
	if _, err := s.to.Write(s.buf); err != nil {
		return err
	}
	return s.control.Flush()
}

// complete sends the last message, with the error if failed is not nil.
func (s *streamer) complete(failed *invocation.Error, c *invocation.Call, tail bool) {
	s.begin()
	last := struct {
		ErrorCode    string `json:",omitempty"`
		ErrorDetails string `json:",omitempty"`
		LogResult    string `json:",omitempty"`
	}{}
	if failed != nil {
		last.ErrorCode, last.ErrorDetails = invocation.Unhandled, string(failed.JSON())
	}
	if tail {
		last.LogResult = base64.StdEncoding.EncodeToString(c.Log.Bytes())
	}
	text, err := json.Marshal(last)
	if err != nil { // strings always marshal
		return
	}
	_ = s.send("InvokeComplete", "application/json", text) // an error means that the client has disconnected
}
