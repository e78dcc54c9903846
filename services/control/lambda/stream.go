package lambda

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/services/control/lambda/eventstream"
	"github.com/vespo-dev/vespo/services/event/invocation"
)

// chunkBytes is the longest payload of a message.
const chunkBytes = 64 << 10

// invokeStreaming streams the output. Failures after the first byte are sent in the stream.
func (h *Handler) invokeStreaming(w http.ResponseWriter, r *request) error {
	t, c, err := h.calling(r, newSyncCall)
	if err != nil {
		return err
	}
	switch kind := r.Header.Get("X-Amz-Invocation-Type"); {
	case kind == typeDryRun:
		w.WriteHeader(http.StatusNoContent)
		return nil
	case kind != "" && kind != typeSync:
		return invalid("the invocation type %.40q can be %s or %s here", kind, typeSync, typeDryRun)
	}
	to := client.NewWriter(w, r.Request, context.Background())
	defer to.Finish()
	out := &streamer{to: to, header: http.Header{}, version: t.executed}
	if !h.cfg.Kinds.takesEvents(t.kind) {
		return h.streamWhole(out, r, t, c)
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
	failed, err := failedOf(c, false, h.dispatch(t, c, out, in))
	switch {
	case err != nil:
		return err
	case failed == nil && out.status != http.StatusOK:
		return answeredBy(out.status)
	}
	out.complete(failed, c)
	return nil
}

// streamWhole streams the response of a service that is not a
// function. The encoded response is known only once it is complete.
func (h *Handler) streamWhole(out *streamer, r *request, t target, c *call) error {
	o, err := h.call(r.Context(), t, c, r.body)
	defer func() { h.budget.For(t.name).Give(o.held) }()
	if err != nil {
		return err
	}
	if _, err := out.Write(o.output); err != nil {
		return gone(err)
	}
	out.complete(o.failed, c)
	return nil
}

// streamer is an http.ResponseWriter that sends its output as messages. An answer with
// another status than 200 is no output: its body is dropped.
type streamer struct {
	to      *client.Writer
	header  http.Header // of the service; not sent
	version string
	status  int // of the service; 0 before it has answered
	buf     []byte
}

// Header implements http.ResponseWriter.
func (s *streamer) Header() http.Header { return s.header }

// WriteHeader implements http.ResponseWriter.
func (s *streamer) WriteHeader(status int) {
	if s.status == 0 && status >= http.StatusOK {
		s.status = status
	}
}

// Write implements http.ResponseWriter.
func (s *streamer) Write(p []byte) (int, error) {
	s.WriteHeader(http.StatusOK)
	if s.status != http.StatusOK {
		return len(p), nil
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
	if s.to.Started() {
		return
	}
	h := s.to.Header()
	h.Set("Content-Type", eventstream.ContentType)
	h.Set("X-Amz-Executed-Version", s.version)
	s.to.WriteHeader(http.StatusOK)
}

func (s *streamer) send(eventType, contentType string, payload []byte) (err error) {
	if s.buf, err = eventstream.Append(s.buf[:0], eventstream.Event(eventType, contentType), payload); err != nil {
		return err
	}
	if _, err := s.to.Write(s.buf); err != nil {
		return err
	}
	return s.to.FlushError()
}

// complete sends the last message, with the error if failed is not nil.
func (s *streamer) complete(failed *invocation.Error, c *call) {
	s.begin()
	last := struct {
		ErrorCode    string `json:",omitempty"`
		ErrorDetails string `json:",omitempty"`
		LogResult    string `json:",omitempty"`
	}{}
	if failed != nil {
		last.ErrorCode, last.ErrorDetails = unhandled, string(failed.JSON())
	}
	if text, wanted := c.tail(); wanted {
		last.LogResult = text
	}
	text, err := json.Marshal(last)
	if err != nil { // strings always marshal
		return
	}
	_ = s.send("InvokeComplete", "application/json", text) // an error means that the client has disconnected
}
