package admin

import (
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/canary"
	"github.com/vespo-dev/vespo/services/control/fields"
	"github.com/vespo-dev/vespo/services/control/rollout"
	"github.com/vespo-dev/vespo/services/schema"
)

// trafficView is the JSON form of how the requests of a service are divided.
type trafficView struct {
	Split  []armView   `json:"split,omitempty"`
	Sticky string      `json:"sticky,omitempty"` // cookie:NAME or header:NAME
	Mirror *mirrorView `json:"mirror,omitempty"`
	Canary *canaryView `json:"canary,omitempty"`
}

// armView is the share of a version.
type armView struct {
	Number registry.Number `json:"number"`
	Weight float64         `json:"weight"` // percent
}

// mirrorView is a version that gets copies of requests.
type mirrorView struct {
	armView
	Headers   []string `json:"headers,omitempty"`
	Compared  uint64   `json:"compared"`
	Different uint64   `json:"different"`
	Dropped   uint64   `json:"dropped"`
	Examples  []string `json:"examples,omitempty"` // of differences, without bodies and values
}

// canaryView is a version on trial, or the last one that was.
type canaryView struct {
	Number      registry.Number `json:"number"`
	Against     registry.Number `json:"against"`
	Weight      float64         `json:"weight"` // percent
	State       string          `json:"state"`
	Reason      string          `json:"reason,omitempty"`
	Began       time.Time       `json:"began"`
	Ends        time.Time       `json:"ends"`
	Ended       time.Time       `json:"ended,omitzero"`
	MinRequests int             `json:"min_requests"`
	MaxErrors   float64         `json:"max_errors"` // percentage points
	MaxLatency  float64         `json:"max_latency"`
	Trial       *sampleView     `json:"trial,omitempty"`    // requests of the version on trial since it began or the server was started
	Baseline    *sampleView     `json:"baseline,omitempty"` // requests of the other version in this time
}

// sampleView is the JSON form of a canary.Sample.
type sampleView struct {
	Requests uint64 `json:"requests"`
	Errors   uint64 `json:"errors"`
	P95      string `json:"p95,omitempty"`
}

func sampleOf(s canary.Sample) *sampleView {
	v := &sampleView{Requests: s.Requests, Errors: s.Errors}
	if s.P95 > 0 {
		v.P95 = s.P95.String()
	}
	return v
}

// addMirror adds the counts of a mirror.
func (h *Handler) addMirror(key routekey.Key, view *mirrorView) {
	if view == nil || h.cfg.Mirrors == nil {
		return
	}
	s := h.cfg.Mirrors.StatsOf(key, view.Number)
	view.Compared, view.Different, view.Dropped, view.Examples = s.Compared, s.Different, s.Dropped, s.Examples
}

// addCounts adds the counts of a running canary.
func (h *Handler) addCounts(key routekey.Key, view *canaryView) {
	if view == nil || view.State != registry.CanaryRunning || h.cfg.Canaries == nil {
		return
	}
	if counts, ok := h.cfg.Canaries.CountsOf(key); ok {
		view.Trial, view.Baseline = sampleOf(counts.Trial), sampleOf(counts.Other)
	}
}

func percent(weight int) float64 { return float64(weight) * 100 / registry.Whole }

// trafficOf returns nil for a service whose requests all go to one version, and that has had no canary.
func trafficOf(s registry.Service) *trafficView {
	var view trafficView
	for _, arm := range s.Split.Arms {
		view.Split = append(view.Split, armView{Number: arm.Number, Weight: percent(arm.Weight)})
	}
	view.Sticky = stickyText(s.Split.Sticky)
	if m := s.Mirror; m.Number != 0 {
		view.Mirror = &mirrorView{armView: armView{Number: m.Number, Weight: percent(m.Weight)}, Headers: m.Headers}
	}
	if c := s.Canary; c.Number != 0 {
		view.Canary = &canaryView{
			Number:      c.Number,
			Against:     c.Against,
			Weight:      percent(c.Weight),
			State:       c.State,
			Reason:      c.Reason,
			Began:       c.Began,
			Ends:        c.Ends,
			Ended:       c.Ended,
			MinRequests: c.Rules.MinRequests,
			MaxErrors:   c.Rules.MaxErrors * 100,
			MaxLatency:  c.Rules.MaxLatency,
		}
	}
	if view.Split == nil && view.Mirror == nil && view.Canary == nil {
		return nil
	}
	return &view
}

// fieldSplit is a version with its share, such as 4=10.
const fieldSplit = "split"

// split divides the requests of a service among its versions.
func (h *Handler) split(w http.ResponseWriter, r *http.Request) error {
	d, err := h.deployer()
	if err != nil {
		return err
	}
	f := bodilessFields(r, append(fields.KeyFields(), schema.Field{Name: fieldSplit, Type: schema.Texts}, schema.Field{Name: rollout.FieldSticky, Type: schema.Text})...)
	key := f.Key()
	split := registry.Split{Arms: rollout.ParseArms(f, fieldSplit, f.Texts(fieldSplit)), Sticky: rollout.Sticky(f, rollout.FieldSticky)}
	if err := f.Err(); err != nil {
		return err
	}
	client.ConnOf(w).Unhurried()
	result, err := d.Split(r.Context(), key, split)
	if err != nil {
		return err
	}
	return h.answerDeployed(w, r, result)
}
