package admin

import "net/http"

func (h *Handler) list(w http.ResponseWriter, r *http.Request) error {
	d, err := h.deployer()
	if err != nil {
		return err
	}
	if err := bodilessFields(r).err(); err != nil {
		return err
	}
	view := listView{Services: []serviceView{}}
	for _, entry := range d.List() {
		view.Services = append(view.Services, viewOfEntry(entry))
	}
	return h.answer(w, http.StatusOK, view)
}

func (h *Handler) inspect(w http.ResponseWriter, r *http.Request) error {
	d, err := h.deployer()
	if err != nil {
		return err
	}
	f := bodilessFields(r, fieldPrefix, fieldMatch)
	prefix := f.prefix()
	if err := f.err(); err != nil {
		return err
	}
	entry, err := d.Inspect(prefix)
	if err != nil {
		return err
	}
	view := viewOfEntry(entry)
	view.History = historyOf(entry.Service)
	return h.answer(w, http.StatusOK, view)
}

// health says that the server answers, and how many records of its logs were dropped.
func (h *Handler) health(w http.ResponseWriter, _ *http.Request) error {
	view := healthView{State: "ok"}
	if h.cfg.Dropped != nil {
		view.DroppedRecords = h.cfg.Dropped()
	}
	return h.answer(w, http.StatusOK, view)
}

// ready says whether the services of the catalogue are being served.
func (h *Handler) ready(w http.ResponseWriter, _ *http.Request) error {
	d, err := h.deployer()
	if err != nil {
		return err
	}
	if !d.Ready() {
		return notReady()
	}
	return h.answer(w, http.StatusOK, stateView{State: "ready"})
}
