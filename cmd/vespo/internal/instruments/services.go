package instruments

import (
	"strconv"
	"time"

	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/observe/metrics"
)

// services returns the metrics of the services in the catalogue.
func (s *Sources) services() metrics.Group {
	return metrics.Of("Services", func() []deploy.Entry { return s.Deployer.List() },
		s.build(),
		perService("vespo_service_info", metrics.Gauge, "kind", "1, with the kind of the service.",
			func(e deploy.Entry, to *metrics.Sink) { to.Value(1, e.Service.Key.String(), e.Service.Current.Kind) }),
		perService("vespo_service_state", metrics.Gauge, "state", "1, with the current state of the service, as in vespo list.",
			func(e deploy.Entry, to *metrics.Sink) { to.Value(1, e.Service.Key.String(), e.Status.State) }),
		level("vespo_service_instances_ready", "Warm instances that wait for a request.",
			func(e deploy.Entry) float64 { return float64(e.Status.Warm) }),
		level("vespo_service_requests_in_flight", "Requests that the current version serves.",
			func(e deploy.Entry) float64 { return float64(e.Status.InFlight) }),
		level("vespo_service_requests_retiring", "Requests that earlier versions still serve.",
			func(e deploy.Entry) float64 { return float64(e.Retiring.Requests) }),
		level("vespo_service_concurrency", "Requests that the service may serve at a time.",
			func(e deploy.Entry) float64 { return float64(e.Admission.Most) }),
		level("vespo_service_admission_waiting", "Requests of the service that wait to be admitted.",
			func(e deploy.Entry) float64 { return float64(e.Admission.Queued) }),
		count("vespo_service_admitted_total", "Requests that were admitted.",
			func(e deploy.Entry) uint64 { return e.Admission.Admitted }),
		count("vespo_service_shed_total", "Requests that found the queue of the service full, or waited too long for a slot (--queue, --queue-wait).",
			func(e deploy.Entry) uint64 { return e.Admission.Shed }),
		count("vespo_service_instances_discarded_total", "Instances that were closed after a request that did not end well, or because of a failed reset.",
			func(e deploy.Entry) uint64 { return uint64(e.Status.Counts.Discarded) }),
		count("vespo_service_instances_evicted_total", "Warm instances that lost their slots to another service.",
			func(e deploy.Entry) uint64 { return uint64(e.Status.Counts.Evicted) }),
		count("vespo_service_calls_total", "Requests of guests to other servers and services.",
			func(e deploy.Entry) uint64 { return e.Status.Counts.Calls }),
		count("vespo_service_calls_refused_total", "Requests of guests that were not allowed, malformed, or too many.",
			func(e deploy.Entry) uint64 { return e.Status.Counts.CallsRefused }),
		level("vespo_service_calls_open", "Requests of guests in progress.",
			func(e deploy.Entry) float64 { return float64(e.Status.Counts.CallsOpen) }),
		count("vespo_service_log_dropped_total", "Lines of guests that were dropped (--log-rate).",
			func(e deploy.Entry) uint64 { return uint64(e.Status.Counts.LogDropped) }),
		perService("vespo_mirror_copies_total", metrics.Counter, "version result",
			"Copies of requests for the mirror of a service: same or different by their responses, or dropped (no place, or a large body).", s.emitMirror),
		perUpstream("vespo_upstream_requests_total", metrics.Counter, "Requests that were sent to an upstream of a proxy, with retries.",
			func(u services.UpstreamStatus) float64 { return float64(u.Requests) }),
		perUpstream("vespo_upstream_failures_total", metrics.Counter, "Connections to the upstream that failed.",
			func(u services.UpstreamStatus) float64 { return float64(u.Failures) }),
		perUpstream("vespo_upstream_requests_in_flight", metrics.Gauge, "Requests at the upstream.",
			func(u services.UpstreamStatus) float64 { return float64(u.InFlight) }),
		perUpstream("vespo_upstream_up", metrics.Gauge, "0 while the upstream is set aside after failed connections.",
			func(u services.UpstreamStatus) float64 {
				if u.Aside {
					return 0
				}
				return 1
			}),
		guest("vespo_service_memory_limit_bytes", "Linear memory that one request may take.",
			func(e deploy.Entry) float64 { return float64(e.Status.MemoryBytes) }),
		guest("vespo_service_snapshot_bytes", "Size of the snapshot that requests start from.",
			func(e deploy.Entry) float64 { return float64(e.Status.SnapshotBytes) }),
		perService("vespo_queue_depth", metrics.Gauge, "", "Requests that the queue takes.",
			ofQueue(func(e deploy.Entry) int { return e.Status.Queue.Depth })),
		perService("vespo_queue_waiting", metrics.Gauge, "", "Requests in the queue that no worker has taken.",
			ofQueue(func(e deploy.Entry) int { return e.Status.Queue.Waiting })),
		perService("vespo_queue_leased", metrics.Gauge, "", "Requests that workers have taken and not answered.",
			ofQueue(func(e deploy.Entry) int { return e.Status.Queue.Leased })),
		perService("vespo_queue_workers", metrics.Gauge, "", "Workers that wait for a request of the queue.",
			ofQueue(func(e deploy.Entry) int { return e.Status.Queue.Workers })),
		perService("vespo_queue_oldest_seconds", metrics.Gauge, "", "Age of the request that is taken next; 0 if none waits.", emitOldest),
		perService("vespo_queue_damaged", metrics.Gauge, "", "Stored requests that were set aside as unreadable since the server's start.",
			ofQueue(func(e deploy.Entry) int { return e.Status.Queue.Damaged })),
	)
}

func (s *Sources) emitMirror(e deploy.Entry, to *metrics.Sink) {
	n := e.Service.Mirror.Number
	if n == 0 {
		return
	}
	key, version := e.Service.Key, strconv.FormatUint(uint64(n), 10)
	copies := s.Mirrors.StatsOf(key, n)
	to.Value(float64(copies.Compared-copies.Different), key.String(), version, "same")
	to.Value(float64(copies.Different), key.String(), version, "different")
	to.Value(float64(copies.Dropped), key.String(), version, "dropped")
}

func emitOldest(e deploy.Entry, to *metrics.Sink) {
	if e.Status.Queue == nil {
		return
	}
	age := 0.0
	if oldest := e.Status.Queue.Oldest; !oldest.IsZero() {
		age = max(0, time.Since(oldest).Seconds())
	}
	to.Value(age, e.Service.Key.String())
}

func ofQueue(value func(deploy.Entry) int) func(deploy.Entry, *metrics.Sink) {
	return func(e deploy.Entry, to *metrics.Sink) {
		if e.Status.Queue != nil {
			to.Value(float64(value(e)), e.Service.Key.String())
		}
	}
}

// perService returns a field with the label service, and those of labels.
func perService(name string, typ metrics.Type, labels, help string, emit func(deploy.Entry, *metrics.Sink)) metrics.Field[[]deploy.Entry] {
	return metrics.Field[[]deploy.Entry]{
		Desc: metrics.Desc{
			Name:   name,
			Type:   typ,
			Labels: "service " + labels,
			Help:   help,
		},
		Emit: func(all []deploy.Entry, to *metrics.Sink) {
			for _, e := range all {
				emit(e, to)
			}
		},
	}
}

// level returns a gauge of all services.
func level(name, help string, value func(deploy.Entry) float64) metrics.Field[[]deploy.Entry] {
	return perService(name, metrics.Gauge, "", help, func(e deploy.Entry, to *metrics.Sink) { to.Value(value(e), e.Service.Key.String()) })
}

// guest returns a gauge of services that have it.
func guest(name, help string, value func(deploy.Entry) float64) metrics.Field[[]deploy.Entry] {
	return perService(name, metrics.Gauge, "", help, func(e deploy.Entry, to *metrics.Sink) {
		if v := value(e); v > 0 {
			to.Value(v, e.Service.Key.String())
		}
	})
}

// count returns a counter of all services. It starts again with each version.
func count(name, help string, value func(deploy.Entry) uint64) metrics.Field[[]deploy.Entry] {
	return perService(name, metrics.Counter, "", help, func(e deploy.Entry, to *metrics.Sink) { to.Value(float64(value(e)), e.Service.Key.String()) })
}

// perUpstream returns a metric of the upstreams of proxies.
func perUpstream(name string, typ metrics.Type, help string, value func(services.UpstreamStatus) float64) metrics.Field[[]deploy.Entry] {
	return perService(name, typ, "upstream", help, func(e deploy.Entry, to *metrics.Sink) {
		seen := make(map[string]bool) // a manifest may name one twice, for more of the requests
		for _, u := range e.Status.Upstreams {
			if !seen[u.Name] {
				seen[u.Name] = true
				to.Value(value(u), e.Service.Key.String(), u.Name)
			}
		}
	})
}
