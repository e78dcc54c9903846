package admin

import (
	"net/http"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/control/fields"
	"github.com/vespo-dev/vespo/services/observe/rolling"
	"github.com/vespo-dev/vespo/services/schema"
)

// fieldSeries is the field that asks for series.
const fieldSeries = "series"

// Statistics has the statistics of services; *rolling.Rolling implements it.
type Statistics interface {
	Service(name string, points bool) rolling.Service
}

// Slots describes the capacity that the services share.
type Slots struct {
	Total     int   `json:"total"`
	Used      int   `json:"used"` // have an instance, or are about to get one
	SlotBytes int64 `json:"slot_bytes"`
	Warm      int   `json:"warm"`      // instances that are ready
	InFlight  int   `json:"in_flight"` // requests that have capacity
	Waiting   int   `json:"waiting"`   // requests that wait for capacity
}

// statsView is the JSON form of the statistics of services.
type statsView struct {
	Time     time.Time          `json:"time"`
	Slots    *Slots             `json:"slots,omitempty"`
	Services []serviceStatsView `json:"services"`
}

// serviceStatsView is the JSON form of the statistics of a service.
type serviceStatsView struct {
	Prefix     string                `json:"prefix"`
	Match      string                `json:"match,omitempty"`
	Kind       string                `json:"kind"`
	State      string                `json:"state"`
	Problem    string                `json:"problem,omitempty"`
	Digest     registry.Digest       `json:"digest"`
	Generation registry.Generation   `json:"generation"`
	Number     registry.Number       `json:"number"`
	Warm       int                   `json:"warm"`
	InFlight   int                   `json:"in_flight"`
	Memory     int64                 `json:"memory"`
	Snapshot   int64                 `json:"snapshot"`
	Queue      *queueView            `json:"queue,omitempty"`
	Retiring   *retiringView         `json:"retiring,omitempty"`
	Windows    map[string]windowView `json:"windows"`
	Versions   []versionStatsView    `json:"versions"`
	Series     *seriesView           `json:"series,omitempty"`
}

// versionStatsView is the JSON form of the statistics of a version.
type versionStatsView struct {
	Generation uint64                `json:"generation"`
	Number     uint64                `json:"number"`
	Digest     string                `json:"digest"` // as in access records
	Windows    map[string]windowView `json:"windows"`
}

// windowView is the JSON form of a window.
type windowView struct {
	Seconds       float64                      `json:"seconds"`
	Requests      uint64                       `json:"requests"`
	Errors        uint64                       `json:"errors"`
	Rate          float64                      `json:"rate"`
	Outcomes      map[accesslog.Outcome]uint64 `json:"outcomes"`
	P50           int64                        `json:"p50_us"`
	P95           int64                        `json:"p95_us"`
	P99           int64                        `json:"p99_us"`
	Mean          int64                        `json:"mean_us"`
	Guest         int64                        `json:"guest_us"`
	BytesIn       int64                        `json:"bytes_in"`
	BytesOut      int64                        `json:"bytes_out"`
	PeakBytes     int64                        `json:"peak_bytes"`
	ResidentBytes int64                        `json:"resident_bytes"`
}

// seriesView is the JSON form of a series. All arrays have the same length; the last element is the latest.
type seriesView struct {
	Interval  float64  `json:"interval"` // seconds
	Requests  []uint64 `json:"requests"`
	Errors    []uint64 `json:"errors"`
	P50       []int64  `json:"p50_us"`
	P99       []int64  `json:"p99_us"`
	PeakBytes []int64  `json:"peak_bytes"`
}

// statistics answers with the statistics of one service or of all.
func (h *Handler) statistics(w http.ResponseWriter, r *http.Request) error {
	d, err := h.deployer()
	if err != nil {
		return err
	}
	f := bodilessFields(r, append(fields.KeyFields(), schema.Field{Name: fieldSeries, Type: schema.Bool})...)
	series := f.Bool(fieldSeries)
	all, err := entriesOf(d, r, f)
	if err != nil {
		return err
	}
	view := statsView{Time: time.Now().UTC(), Services: []serviceStatsView{}}
	for _, e := range all {
		view.Services = append(view.Services, h.statsOf(e, series))
	}
	if h.cfg.Slots != nil {
		slots := h.cfg.Slots()
		view.Slots = &slots
	}
	return h.answer(w, http.StatusOK, view)
}

// entriesOf returns the service that the request names. Without one, it returns all services that the caller may see.
func entriesOf(d Deployer, r *http.Request, f *fields.Input) ([]deploy.Entry, error) {
	if !f.Has(fields.Prefix) && !f.Has(fields.Match) {
		if err := f.Err(); err != nil {
			return nil, err
		}
		hidden := func(e deploy.Entry) bool { return !mayRead(r, e.Service.Key) }
		return slices.DeleteFunc(d.List(), hidden), nil
	}
	key := f.Key()
	if err := f.Err(); err != nil {
		return nil, err
	}
	if !mayRead(r, key) {
		return nil, beyond(r, needOne.text(key))
	}
	e, err := d.Inspect(key)
	return []deploy.Entry{e}, err
}

// statsOf returns the view of an entry.
func (h *Handler) statsOf(e deploy.Entry, series bool) serviceStatsView {
	s := h.viewOfEntry(e)
	v := serviceStatsView{
		Prefix:     s.Prefix,
		Match:      s.Match,
		Kind:       s.Kind,
		State:      s.State,
		Problem:    s.Problem,
		Digest:     s.Digest,
		Generation: s.Generation,
		Number:     s.Number,
		Warm:       s.Warm,
		InFlight:   s.InFlight,
		Memory:     s.Memory,
		Snapshot:   s.Snapshot,
		Queue:      s.Queue,
		Retiring:   s.Retiring,
		Versions:   []versionStatsView{},
	}
	var stats rolling.Service
	if h.cfg.Statistics != nil {
		stats = h.cfg.Statistics.Service(e.Service.Key.String(), series)
	}
	v.Windows = windowViews(stats.Windows)
	for _, one := range stats.Versions {
		v.Versions = append(v.Versions, versionStatsView{Generation: one.Generation, Number: one.Number, Digest: one.Digest, Windows: windowViews(one.Windows)})
	}
	if series {
		v.Series = seriesViewOf(stats.Points)
	}
	return v
}

// windowViews returns the views of windows by the text of their length.
func windowViews(windows []rolling.Window) map[string]windowView {
	views := make(map[string]windowView, len(windows))
	for _, w := range windows {
		views[spanText(w.Span)] = windowView{
			Seconds:       w.Covered.Seconds(),
			Requests:      w.Requests,
			Errors:        w.Failed,
			Rate:          w.Rate(),
			Outcomes:      w.Outcomes,
			P50:           w.P50.Microseconds(),
			P95:           w.P95.Microseconds(),
			P99:           w.P99.Microseconds(),
			Mean:          w.Mean.Microseconds(),
			Guest:         w.GuestTime.Microseconds(),
			BytesIn:       w.BytesIn,
			BytesOut:      w.BytesOut,
			PeakBytes:     w.PeakBytes,
			ResidentBytes: w.ResidentBytes,
		}
	}
	return views
}

// spanText returns a length of time in its largest unit, such as "10s" and "1h".
func spanText(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if len(text) > len(zero) && text[len(text)-len(zero):] == zero {
			text = text[:len(text)-len(zero)+1]
		}
	}
	return text
}

// seriesViewOf returns the view of a series.
func seriesViewOf(points []rolling.Point) *seriesView {
	v := &seriesView{
		Interval:  rolling.Interval.Seconds(),
		Requests:  []uint64{},
		Errors:    []uint64{},
		P50:       []int64{},
		P99:       []int64{},
		PeakBytes: []int64{},
	}
	for _, p := range points {
		v.Requests = append(v.Requests, p.Requests)
		v.Errors = append(v.Errors, p.Failed)
		v.P50 = append(v.P50, p.P50.Microseconds())
		v.P99 = append(v.P99, p.P99.Microseconds())
		v.PeakBytes = append(v.PeakBytes, p.PeakBytes)
	}
	return v
}
