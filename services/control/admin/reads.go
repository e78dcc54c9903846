package admin

import (
	"net/http"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services/control/fields"
	"github.com/vespo-dev/vespo/services/control/identity"
)

func (h *Handler) list(w http.ResponseWriter, r *http.Request) error {
	d, err := h.deployer()
	if err != nil {
		return err
	}
	if err := bodilessFields(r).Err(); err != nil {
		return err
	}
	view := listView{Services: []serviceView{}}
	for _, entry := range d.List() {
		if !mayRead(r, entry.Service.Key) {
			continue
		}
		view.Services = append(view.Services, h.viewOfEntry(entry))
	}
	view.Follow, view.Store = h.following(), h.common()
	if h.leaving.Load() {
		return notReady()
	}
	if !d.Ready() {
		done, total := d.Progress()
		view.Starting = &startView{Done: done, Total: total}
	}
	return h.answer(w, http.StatusOK, view)
}

func (h *Handler) inspect(w http.ResponseWriter, r *http.Request) error {
	d, key, err := h.named(r)
	if err != nil {
		return err
	}
	entry, err := d.Inspect(key)
	if err != nil {
		return err
	}
	view := h.viewOfEntry(entry)
	view.History = h.historyOf(entry.Service)
	view.Follow, view.Store = h.following(), h.common()
	return h.answer(w, http.StatusOK, view)
}

// named returns the key of the service that a request without other fields names.
func (h *Handler) named(r *http.Request) (Deployer, routekey.Key, error) {
	d, err := h.deployer()
	if err != nil {
		return nil, routekey.Key{}, err
	}
	f := bodilessFields(r, fields.KeyFields()...)
	key := f.Key()
	return d, key, f.Err()
}

// whoami answers who sends the request, and with which scopes.
func (h *Handler) whoami(w http.ResponseWriter, r *http.Request) error {
	if err := bodilessFields(r).Err(); err != nil {
		return err
	}
	caller := identity.Of(r.Context())
	return h.answer(w, http.StatusOK, callerView{
		Kind:    caller.Kind,
		Name:    caller.Name,
		ID:      caller.ID,
		Scopes:  caller.Scopes,
		Expires: caller.Expires,
	})
}

// health answers that the server is up, and how many log records were dropped.
func (h *Handler) health(w http.ResponseWriter, _ *http.Request) error {
	view := healthView{State: "ok"}
	if h.cfg.Dropped != nil {
		view.DroppedRecords = h.cfg.Dropped()
	}
	if f := h.follower.Load(); f != nil {
		view.Follow = f.Status().State
	}
	if h.cfg.Common != nil {
		view.Store = h.cfg.Common.Status().State
	}
	return h.answer(w, http.StatusOK, view)
}

// ready answers 200 if all services of the catalogue and of the configuration file are prepared or have
// failed.
func (h *Handler) ready(w http.ResponseWriter, _ *http.Request) error {
	d, err := h.deployer()
	if err != nil {
		return err
	}
	if h.leaving.Load() {
		return notReady()
	}
	if !d.Ready() {
		done, total := d.Progress()
		p := problem.Newf(problem.NotReady, "starting, %d of %d services", done, total)
		p.RetryAfter = retryAfter
		return p
	}
	if err := h.upToDate(); err != nil {
		return err
	}
	return h.answer(w, http.StatusOK, stateView{State: "ready"})
}

// upToDate returns a problem if the server has a copy of a catalogue that is too old.
func (h *Handler) upToDate() error {
	if f := h.follower.Load(); f != nil {
		return f.Ready()
	}
	if h.cfg.Common != nil {
		return h.cfg.Common.Ready()
	}
	return nil
}
