package instruments

import (
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
		perService("vespo_queue_damaged", metrics.Gauge, "", "Stored requests that were set aside as unreadable since the server's start.",
			ofQueue(func(e deploy.Entry) int { return e.Status.Queue.Damaged })),
	)
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
