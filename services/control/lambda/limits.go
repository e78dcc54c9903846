package lambda

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services/internal/arn"
)

// maxConcurrency is the highest reserved concurrency.
const maxConcurrency = 100_000

// running counts the running invocations of each function. It is safe for concurrent use.
type running struct {
	mu     sync.Mutex
	counts map[string]int // guarded by mu; by function name
}

// begin counts a new invocation. It returns an error if the function already runs limit
// invocations (nil: no limit). The caller must call end once the invocation is over.
func (c *running) begin(name string, limit *int) (end func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if limit != nil && c.counts[name] >= *limit {
		return nil, busy("ReservedFunctionConcurrentInvocationLimitExceeded", "Rate Exceeded.")
	}
	if c.counts == nil {
		c.counts = make(map[string]int)
	}
	c.counts[name]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.counts[name]--; c.counts[name] == 0 {
			delete(c.counts, name)
		}
	}, nil
}

func (h *Handler) putConcurrency(w http.ResponseWriter, r *request) error {
	name, e, err := h.named(r)
	if err != nil {
		return err
	}
	var in struct{ ReservedConcurrentExecutions *int }
	if err := decode(r, &in); err != nil {
		return err
	}
	if n := in.ReservedConcurrentExecutions; n == nil || *n < 0 || *n > maxConcurrency {
		return invalid("ReservedConcurrentExecutions must be a number between 0 and %d", maxConcurrency)
	}
	err = h.edit(r.Context(), name, []routekey.Key{e.Service.Key}, func(own *record) error {
		own.Concurrency = in.ReservedConcurrentExecutions
		return nil
	})
	if err != nil {
		return err
	}
	return answerJSON(w, http.StatusOK, in)
}

func (h *Handler) getConcurrency(w http.ResponseWriter, r *request) error {
	name, _, err := h.named(r)
	if err != nil {
		return err
	}
	answer := map[string]int{}
	if n := h.book.get(name).Concurrency; n != nil {
		answer["ReservedConcurrentExecutions"] = *n
	}
	return answerJSON(w, http.StatusOK, answer)
}

func (h *Handler) deleteConcurrency(w http.ResponseWriter, r *request) error {
	name, e, err := h.named(r)
	if err != nil {
		return err
	}
	err = h.edit(r.Context(), name, []routekey.Key{e.Service.Key}, func(own *record) error {
		own.Concurrency = nil
		return nil
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// createURL records that the function has a URL. Functions are reachable by HTTP with or without it.
func (h *Handler) createURL(w http.ResponseWriter, r *request) error {
	name, e, err := h.named(r)
	if err != nil {
		return err
	}
	var in struct {
		AuthType string
		Cors     any
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	if in.AuthType != "NONE" || in.Cors != nil {
		return invalid("AuthType must be NONE, and Cors is not supported: requests are passed on as they are")
	}
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	err = h.edit(r.Context(), name, []routekey.Key{e.Service.Key}, func(own *record) error {
		if own.URL != nil {
			return fail(http.StatusConflict, "ResourceConflictException", "the function has a URL")
		}
		own.URL = &functionURL{Created: now, Modified: now}
		return nil
	})
	if err != nil {
		return err
	}
	return h.answerURL(w, http.StatusCreated, name)
}

func (h *Handler) getURL(w http.ResponseWriter, r *request) error {
	name, _, err := h.named(r)
	if err != nil {
		return err
	}
	return h.answerURL(w, http.StatusOK, name)
}

func (h *Handler) answerURL(w http.ResponseWriter, status int, name string) error {
	own := h.book.get(name).URL
	if own == nil {
		return notFound("The resource you requested does not exist.")
	}
	e, err := h.entry(name)
	if err != nil {
		return err
	}
	return answerJSON(w, status, map[string]string{
		"FunctionUrl": h.cfg.URL() + strings.TrimSuffix(e.Service.Key.String(), "/") + "/", "FunctionArn": arn.Format(name, ""), "AuthType": "NONE",
		"CreationTime": own.Created, "LastModifiedTime": own.Modified, "InvokeMode": "BUFFERED",
	})
}

func (h *Handler) deleteURL(w http.ResponseWriter, r *request) error {
	name, e, err := h.named(r)
	if err != nil {
		return err
	}
	err = h.edit(r.Context(), name, []routekey.Key{e.Service.Key}, func(own *record) error {
		own.URL = nil
		return nil
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
