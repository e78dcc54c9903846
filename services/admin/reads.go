package admin

import (
	"net/http"

	"github.com/vespo-dev/vespo/router/problem"
)

func (h *Handler) list(w http.ResponseWriter, r *http.Request) error {
	if err := bodilessFields(r).err(); err != nil {
		return err
	}
	view := listView{Services: []serviceView{}}
	for _, entry := range h.cfg.Deployer.List() {
		view.Services = append(view.Services, viewOfEntry(entry))
	}
	return h.answer(w, http.StatusOK, view)
}

func (h *Handler) inspect(w http.ResponseWriter, r *http.Request) error {
	f := bodilessFields(r, fieldPrefix)
	prefix := f.prefix()
	if err := f.err(); err != nil {
		return err
	}
	entry, err := h.cfg.Deployer.Inspect(prefix)
	if err != nil {
		return err
	}
	view := viewOfEntry(entry)
	view.History = historyOf(entry.Service)
	return h.answer(w, http.StatusOK, view)
}

// health says that the server answers, and nothing else.
func (h *Handler) health(w http.ResponseWriter, _ *http.Request) error {
	return h.answer(w, http.StatusOK, stateView{State: "ok"})
}

// ready says whether the services of the catalogue are being served.
func (h *Handler) ready(w http.ResponseWriter, _ *http.Request) error {
	if !h.cfg.Deployer.Ready() {
		p := problem.New(problem.NotReady, "the server is loading its services, or shutting down")
		p.RetryAfter = retryAfter
		return p
	}
	return h.answer(w, http.StatusOK, stateView{State: "ready"})
}
