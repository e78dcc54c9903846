package admin

import (
	"io"
	"net/http"

	"github.com/vespo-dev/vespo/internal/client"
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
	problem.Respond(w, r.Request, r.ID, p)
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

// unread reports whether the client may still be sending a body. HTTP/1 can stop it only by closing the
// connection. A client that expects "100 Continue" has not begun.
func unread(r *http.Request) bool {
	return r.ContentLength != 0 && r.ProtoMajor == 1 && r.Header.Get("Expect") == ""
}

// drain reads the rest of a body after its refusal was sent. Many clients send everything before they read;
// closing the connection early would reset it before they see the answer. The limit is lower for clients
// without the right to manage, and zero for stalled ones.
func (h *Handler) drain(w http.ResponseWriter, r *http.Request, body io.ReadCloser, p *problem.Problem) {
	limitBytes := h.cfg.MaxModuleBytes + formOverheadBytes
	switch p.Kind() {
	case problem.Unauthorized, problem.Forbidden:
		limitBytes = strangerDrainBytes
	case problem.RequestTimeout:
		limitBytes = 0
	}
	if client.ConnOf(w).Flush() == nil && limitBytes > 0 {
		client.Drain(w, r, body, client.Terms{Bytes: limitBytes, Pace: h.decoder.pace})
	}
}
