package admin

import (
	"io"
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/problem"
)

// strangerDrainBytes is what is read of a refused body from those who may not manage.
const strangerDrainBytes = 256 << 10

// refuse answers with a problem.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, requestID string, p *problem.Problem) {
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="vespo"`)
	}
	if unread(r) {
		w.Header().Set("Connection", "close") // or net/http reads the body before it sends the answer
	}
	h.boundAnswer(w)
	h.boundLeftover(w, p)
	problem.Write(w, requestID, p)
}

func outcomeOf(p *problem.Problem) accesslog.Outcome {
	switch p.Kind() {
	case problem.NoCapacity:
		return accesslog.OutcomeNoCapacity
	case problem.NotReady:
		return accesslog.OutcomeNotReady
	case problem.NotFound:
		return accesslog.OutcomeNotFound
	case problem.Internal:
		return accesslog.OutcomeHostError
	}
	return accesslog.OutcomeRefused
}

// boundLeftover bounds what net/http still reads of the request's body when the handler is done: a moment of patience, and none for
// those who have stalled.
func (h *Handler) boundLeftover(w http.ResponseWriter, p *problem.Problem) {
	deadline := time.Now()
	if p.Kind() != problem.RequestTimeout {
		deadline = deadline.Add(h.cfg.StallTimeout)
	}
	_ = http.NewResponseController(w).SetReadDeadline(deadline)
}

// unread reports whether the client may still be sending a body that HTTP/1 has no other way to stop than closing the
// connection. One that expects "100 Continue" has not begun.
func unread(r *http.Request) bool {
	return r.ContentLength != 0 && r.ProtoMajor == 1 && r.Header.Get("Expect") == ""
}

// drain reads what is left of a body after its refusal was sent. Many clients send all before they read, and closing the
// connection on them would reset it before they see the answer. Strangers get less patience, and those who stalled none.
func (h *Handler) drain(w http.ResponseWriter, body io.ReadCloser, p *problem.Problem) {
	rc := http.NewResponseController(w)
	limitBytes := h.cfg.MaxModuleBytes + formOverheadBytes
	switch p.Kind() {
	case problem.Unauthorized, problem.Forbidden:
		limitBytes = strangerDrainBytes
	case problem.RequestTimeout:
		limitBytes = 0
	}
	if rc.Flush() != nil || limitBytes == 0 {
		return
	}
	left := http.MaxBytesReader(serverWriter(w), newPacedBody(body, rc, h.decoder.pace), limitBytes)
	_, _ = io.Copy(io.Discard, left)
}

// serverWriter gives the writer of the HTTP server itself: told by it that a body goes on beyond its limit, the server closes
// its side of the connection first and leaves the client a moment to read.
func serverWriter(w http.ResponseWriter) http.ResponseWriter {
	for {
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = outer.Unwrap()
	}
}
