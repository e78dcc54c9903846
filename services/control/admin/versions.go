package admin

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/control/fields"
	"github.com/vespo-dev/vespo/services/schema"
)

// versionsView is the JSON form of the versions of a service.
type versionsView struct {
	Prefix   string          `json:"prefix"`
	Match    string          `json:"match,omitempty"`
	Current  registry.Number `json:"current"`
	Versions []liveView      `json:"versions"` // the highest number first
	trafficView
}

// liveView is a version with its share of the requests.
type liveView struct {
	versionView
	Weight   float64 `json:"weight"`           // percent of the requests
	Staged   bool    `json:"staged,omitempty"` // it has never been the current version
	Problem  string  `json:"problem,omitempty"`
	State    string  `json:"state,omitempty"`
	Requests uint64  `json:"requests"`
	Errors   uint64  `json:"errors"`
}

// versions answers with all versions of a service.
func (h *Handler) versions(w http.ResponseWriter, r *http.Request) error {
	d, key, err := h.named(r)
	if err != nil {
		return err
	}
	entry, err := d.Inspect(key)
	if err != nil {
		return err
	}
	return h.answer(w, http.StatusOK, h.versionsOf(entry))
}

func (h *Handler) versionsOf(e deploy.Entry) versionsView {
	service := e.Service
	view := versionsView{Prefix: string(service.Key.Prefix), Match: service.Key.Match.String(), Current: service.Current.Number}
	for _, v := range service.Versions() {
		one := liveView{versionView: h.versionOf(v), Weight: percent(service.Weight(v.Number)), Staged: v.Staged}
		for _, l := range e.Live {
			if l.Number != v.Number {
				continue
			}
			one.State, one.Requests, one.Errors = l.Status.State, l.Requests, l.Errors
			if l.Problem != nil {
				one.Problem = reasonOf(l.Problem)
			}
		}
		view.Versions = append(view.Versions, one)
	}
	if traffic := trafficOf(service); traffic != nil {
		view.trafficView = *traffic
		h.addCounts(service.Key, view.Canary)
		h.addMirror(service.Key, view.Mirror)
	}
	slices.SortFunc(view.Versions, func(a, b liveView) int { return cmp.Compare(b.Number, a.Number) })
	return view
}

// Names of the query parameters of diff.
const (
	fieldFrom = "from"
	fieldTo   = "to"
)

// diffView is the JSON form of the difference of two versions.
type diffView struct {
	Prefix  string          `json:"prefix"`
	Match   string          `json:"match,omitempty"`
	From    registry.Number `json:"from"`
	To      registry.Number `json:"to"`
	Changes []string        `json:"changes"`
	Kept    []string        `json:"kept,omitempty"`
}

// diff answers with the differences of two versions. By default, they are the previous and the current one.
func (h *Handler) diff(w http.ResponseWriter, r *http.Request) error {
	d, err := h.deployer()
	if err != nil {
		return err
	}
	f := bodilessFields(r, append(fields.KeyFields(), schema.Field{Name: fieldFrom, Type: schema.Text}, schema.Field{Name: fieldTo, Type: schema.Text})...)
	key, from, to := f.Key(), numberIn(f, fieldFrom), numberIn(f, fieldTo)
	if err := f.Err(); err != nil {
		return err
	}
	entry, err := d.Inspect(key)
	if err != nil {
		return err
	}
	view, err := h.diffOf(r, d, entry.Service, from, to)
	if err != nil {
		return err
	}
	return h.answer(w, http.StatusOK, view)
}

func (h *Handler) diffOf(r *http.Request, d Deployer, service registry.Service, from, to registry.Number) (view diffView, err error) {
	if from == 0 {
		from, to = compared(service, to)
	}
	before, err := numbered(service, from)
	if err != nil {
		return view, err
	}
	after, err := numbered(service, cmp.Or(to, service.Current.Number))
	if err != nil {
		return view, err
	}
	view = diffView{Prefix: string(service.Key.Prefix), Match: service.Key.Match.String(), From: before.Number, To: after.Number}
	view.Changes, view.Kept = changesOf(h.cfg.Kinds, deploy.Result{Before: before, Service: registry.Service{Current: after}})
	more, err := h.moduleChanges(r.Context(), d, before, after)
	view.Changes = append(view.Changes, more...)
	return view, err
}

// compared returns the versions of a difference that names none, or only the later one: a version that is tried with a share
// of the requests or a mirror is compared with the current one, and the current one with its predecessor. from is 0 if there is
// no other version.
func compared(s registry.Service, to registry.Number) (from, until registry.Number) {
	for _, v := range live(s)[1:] {
		if v.Staged && (to == 0 || to == v.Number) {
			return s.Current.Number, v.Number
		}
	}
	for _, v := range s.History {
		if !v.Staged && v.Number != to {
			return v.Number, to
		}
	}
	return 0, to
}

// numbered returns the version of a service with a number.
func numbered(service registry.Service, n registry.Number) (registry.Version, error) {
	if v, ok := service.Numbered(n); ok {
		return v, nil
	}
	return registry.Version{}, noSuchVersion(service, n)
}
