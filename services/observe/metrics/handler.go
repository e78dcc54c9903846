package metrics

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/vespo-dev/vespo/internal/problem"
)

// Bounds of scrapes. One runs at a time, on one processor, and after one that took a time, three times that is left to
// requests. A client that reads slowly is no part of that: its scrape is ready in memory, compressed, before it is sent.
const (
	maxWaiting = 4                // scrapes that wait for another one, or are being sent
	maxWait    = 10 * time.Second // as Prometheus does by default
	rest       = 3
)

// Handler serves scrapes. Create it with NewHandler.
type Handler struct {
	groups  atomic.Pointer[[]Group] // those of Register
	also    prometheus.Gatherer     // immutable
	turn    chan time.Time          // has a value if no scrape runs: when the next one may
	waiting chan struct{}           // a place for each scrape that waits, runs or is being sent

	scrapes, refused atomic.Int64
	took             atomic.Int64 // nanoseconds of the last scrape
}

// NewHandler returns a Handler of the metrics of also, such as those of the process.
func NewHandler(also prometheus.Gatherer) *Handler {
	h := &Handler{also: also, turn: make(chan time.Time, 1), waiting: make(chan struct{}, maxWaiting+1)}
	h.turn <- time.Time{}
	h.groups.Store(&[]Group{})
	return h
}

// Register sets the metrics of the server. Before, a scrape has only those of NewHandler.
func (h *Handler) Register(groups []Group) { h.groups.Store(&groups) }

// Group returns the metrics of scrapes themselves.
func (h *Handler) Group() Group {
	read := func() *Handler { return h }
	return Of("Scrapes", read,
		Count("vespo_scrapes_total", "Scrapes that were begun, with this one.", func(h *Handler) int64 { return h.scrapes.Load() }),
		Level("vespo_scrape_duration_seconds", "Time that the scrape before this one took.", func(h *Handler) float64 { return time.Duration(h.took.Load()).Seconds() }),
	)
}

// Refused returns the number of scrapes that were refused.
func (h *Handler) Refused() uint64 { return uint64(h.refused.Load()) }

// Serve answers a scrape. Its error is a problem, unless the client is gone.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request) error {
	release, leave, err := h.acquire(r.Context())
	if err != nil {
		return err
	}
	defer leave()
	h.scrapes.Add(1)
	format := expfmt.NegotiateAccept(r.Header, expfmt.DefaultOpenMetricsAcceptedFormats()...)
	var body *bytes.Buffer
	if r.Method != http.MethodHead {
		body, err = h.compressed(r.Context(), format)
	}
	release()
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set("Content-Type", string(format))
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Add("Vary", "Accept, Accept-Encoding")
	if body == nil {
		return nil
	}
	if acceptsGzip(r.Header) {
		header.Set("Content-Encoding", "gzip")
		_, _ = body.WriteTo(w) // on an error the client is gone
		return nil
	}
	z, err := gzip.NewReader(body)
	if err != nil {
		return err
	}
	_, _ = io.Copy(w, z) // the same
	return nil
}

// compressed returns a scrape.
func (h *Handler) compressed(ctx context.Context, format expfmt.Format) (*bytes.Buffer, error) {
	body := new(bytes.Buffer)
	z, _ := gzip.NewWriterLevel(body, gzip.BestSpeed)
	if err := h.write(ctx, z, format); err != nil {
		return nil, err
	}
	return body, z.Close()
}

// acquire waits for the turn of a scrape. Release ends the turn, and then leave gives the place back.
func (h *Handler) acquire(ctx context.Context) (release, leave func(), err error) {
	select {
	case h.waiting <- struct{}{}:
	default:
		return nil, nil, h.busy()
	}
	leave = func() { <-h.waiting }
	late := time.NewTimer(maxWait)
	defer late.Stop()
	select {
	case at := <-h.turn:
		if err := h.pause(ctx, at, late.C); err != nil {
			h.turn <- at
			leave()
			return nil, nil, err
		}
	case <-late.C:
		leave()
		return nil, nil, h.busy()
	case <-ctx.Done():
		leave()
		return nil, nil, ctx.Err()
	}
	began := time.Now()
	return func() {
		now := time.Now()
		took := now.Sub(began)
		h.took.Store(int64(took))
		h.turn <- now.Add(rest * took)
	}, leave, nil
}

// pause waits until at.
func (h *Handler) pause(ctx context.Context, at time.Time, late <-chan time.Time) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-late:
		return h.busy()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *Handler) busy() error {
	h.refused.Add(1)
	p := problem.New(problem.NoCapacity, "other scrapes are under way: scrape less often")
	p.RetryAfter = maxWait
	return p
}

// write encodes all metrics, one after the other, so that it holds one at a time.
func (h *Handler) write(ctx context.Context, w io.Writer, format expfmt.Format) error {
	enc := expfmt.NewEncoder(w, format)
	for _, g := range *h.groups.Load() {
		emit := g.begin()
		for i, d := range g.descs {
			to := newSink(d)
			emit(i, to)
			if err := encode(ctx, enc, to.family); err != nil {
				return err
			}
		}
	}
	families, err := h.also.Gather()
	for _, f := range families { // some can be missing: see err
		if err := encode(ctx, enc, f); err != nil {
			return err
		}
	}
	if closer, ok := enc.(expfmt.Closer); ok && err == nil {
		return closer.Close()
	}
	return err
}

func encode(ctx context.Context, enc expfmt.Encoder, f *dto.MetricFamily) error {
	if len(f.Metric) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return enc.Encode(f)
}

// acceptsGzip reports whether the client accepts a compressed response.
func acceptsGzip(h http.Header) bool {
	for coding := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		name, params, _ := strings.Cut(strings.ToLower(coding), ";")
		quality, found := strings.CutPrefix(strings.TrimSpace(params), "q=")
		if strings.TrimSpace(name) == "gzip" && (!found || strings.Trim(quality, "0.") != "") {
			return true
		}
	}
	return false
}
