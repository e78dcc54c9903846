package metrics

import (
	"time"

	"github.com/vespo-dev/vespo/services/observe/tally"
)

// labels of the metrics of requests. Both come from the catalogue.
const byVersion = "service version"

// Requests returns the metrics of the requests that t counts.
func Requests(t *tally.Tally) Group {
	return Of("Requests", func() []series { return allSeries(t) },
		Field[[]series]{
			Desc: Desc{"vespo_requests_total", Counter, byVersion + " outcome code",
				"Finished requests by outcome, as in the access log, and class of the status (none: without a response)."},
			Emit: emitRequests,
		},
		total("vespo_requests_failed_total", "Requests that were answered with a status of 500 or above, or broken off by the server.",
			func(s *series) float64 { return float64(s.failed()) }),
		Field[[]series]{
			Desc: Desc{"vespo_request_duration_seconds", Histogram, byVersion,
				"Time from the request's header until its handler was done."},
			Emit: each(func(s *series, to *Sink) {
				if s.Latency.Count() > 0 {
					to.histogram(&s.Latency, 1, 0, s)
				}
			}),
		},
		Field[[]series]{
			Desc: Desc{"vespo_request_queue_seconds", Histogram, byVersion,
				"Time in admission and in queues; 0 for requests that did not wait."},
			Emit: each(emitWaits),
		},
		Field[[]series]{
			Desc: Desc{"vespo_guest_starts_total", Counter, byVersion + " start",
				"Requests of guests by the state of the instance: warm, restored from its snapshot, or cold (the code was loaded)."},
			Emit: emitStarts,
		},
		Field[[]series]{
			Desc: Desc{"vespo_guest_cold_start_seconds", Histogram, byVersion,
				"Time until the code of a guest was loaded, for requests that found it cold."},
			Emit: each(emitColdStarts),
		},
		total("vespo_guest_cpu_seconds_total", "Time in guest code.",
			func(s *series) float64 { return time.Duration(s.GuestNanos.Load()).Seconds() }),
		total("vespo_guest_dirty_bytes_total", "Memory that guests have written, and that was restored after the request.",
			func(s *series) float64 { return float64(s.DirtyBytes.Load()) }),
		Field[[]series]{
			Desc: Desc{"vespo_guest_memory_peak_bytes", Gauge, byVersion, "The largest linear memory of a request so far."},
			Emit: each(func(s *series, to *Sink) {
				if peak := s.Peak.Largest(); peak > 0 {
					to.Value(float64(peak), s.labels[:]...)
				}
			}),
		},
		total("vespo_guest_kv_operations_total", "Reads, pages and changes of key-value stores.",
			func(s *series) float64 { return float64(s.KVOperations.Load()) }),
		total("vespo_request_received_bytes_total", "Bytes of request bodies that were read.",
			func(s *series) float64 { return float64(s.BytesIn.Load()) }),
		total("vespo_request_sent_bytes_total", "Bytes of response bodies.",
			func(s *series) float64 { return float64(s.BytesOut.Load()) }),
	)
}

// each returns the Emit of a field that has samples of each series.
func each(emit func(*series, *Sink)) func([]series, *Sink) {
	return func(all []series, to *Sink) {
		for i := range all {
			emit(&all[i], to)
		}
	}
}

// total returns the field of a counter by version. It has a sample from the start, so that the first increase is seen
// as one.
func total(name, help string, value func(*series) float64) Field[[]series] {
	return Field[[]series]{
		Desc: Desc{name, Counter, byVersion, help},
		Emit: each(func(s *series, to *Sink) { to.counter(value(s), s, s.labels[:]...) }),
	}
}

func emitRequests(all []series, to *Sink) {
	names := tally.OutcomeNames()
	for at := range all {
		s := &all[at]
		for i := range s.Requests {
			for class := range s.Requests[i] {
				if n := s.Requests[i][class].Load(); n > 0 {
					to.counter(float64(n), s, s.labels[0], s.labels[1], string(names[i]), className(class))
				}
			}
		}
	}
}

// emitWaits adds the requests that did not wait, which are not counted one by one.
func emitWaits(s *series, to *Sink) {
	waits := s.Waits()
	if waits == nil {
		waits = new(tally.Durations)
	}
	waited, all := waits.Count(), s.Latency.Count()
	if all > 0 {
		to.histogram(waits, 3, max(all, waited)-waited, s)
	}
}

// emitColdStarts adds the cold starts of versions with guests.
func emitColdStarts(s *series, to *Sink) {
	guests := uint64(0)
	for i := range s.Starts {
		guests += s.Starts[i].Load()
	}
	cold := s.ColdStarts()
	if cold == nil {
		cold = new(tally.Durations)
	}
	if guests > 0 {
		to.histogram(cold, 2, 0, s)
	}
}

func emitStarts(all []series, to *Sink) {
	names := tally.StartNames()
	for at := range all {
		s := &all[at]
		for i := range s.Starts {
			if n := s.Starts[i].Load(); n > 0 {
				to.counter(float64(n), s, s.labels[0], s.labels[1], string(names[i]))
			}
		}
	}
}

// counter adds a sample of a counter, with the time since which it counts.
func (s *Sink) counter(v float64, of *series, labels ...string) {
	s.Value(v, labels...)
	s.family.Metric[len(s.family.Metric)-1].Counter.CreatedTimestamp = of.created
}

// histogram adds a sample of a histogram, with one classic bucket in step of them.
func (s *Sink) histogram(h *tally.Durations, step int, zeros uint64, of *series) {
	s.add(of.labels[:]).Histogram = readHistogram(h, step, zeros, of.created)
}
