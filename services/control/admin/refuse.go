package admin

import (
	"io"
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// strangerDrainBytes is the maximum read from a refused body of a client without the right to manage.
const strangerDrainBytes = 256 << 10

// refuse answers with a problem.
func (h *Handler) refuse(w http.ResponseWriter, r *router.Request, p *problem.Problem) {
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="vespo"`)
	}
	if unread(r.Request) {
		w.Header().Set("Connection", "close") // else net/http reads the body before it sends the answer
	}
	h.boundAnswer(w)
	h.boundLeftover(w, p)
	problem.Write(w, r.ID, p)
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

// boundLeftover bounds the time net/http spends on the rest of the body after the handler returns:
// StallTimeout, or none for a stalled client.
func (h *Handler) boundLeftover(w http.ResponseWriter, p *problem.Problem) {
	deadline := time.Now()
	if p.Kind() != problem.RequestTimeout {
		deadline = deadline.Add(h.cfg.StallTimeout)
	}
	_ = http.NewResponseController(w).SetReadDeadline(deadline)
}

// unread reports whether the client may still be sending a body. HTTP/1 can stop it only by closing the
// connection. A client that expects "100 Continue" has not begun.
func unread(r *http.Request) bool {
	return r.ContentLength != 0 && r.ProtoMajor == 1 && r.Header.Get("Expect") == ""
}

// drain reads the rest of a body after its refusal was sent. Many clients send everything before they read;
// closing the connection early would reset it before they see the answer. The limit is lower for clients
// without the right to manage, and zero for stalled ones.
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

// serverWriter returns the HTTP server's own ResponseWriter. MaxBytesReader needs it to signal a body above the
// limit. The server then closes its side of the connection first, so that the client has time to read.
func serverWriter(w http.ResponseWriter) http.ResponseWriter {
	for {
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = outer.Unwrap()
	}
}
