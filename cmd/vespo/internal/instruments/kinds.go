package instruments

import (
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/kinds/proxy"
	"github.com/vespo-dev/vespo/services/kinds/queue"
	"github.com/vespo-dev/vespo/services/kv"
	"github.com/vespo-dev/vespo/services/observe/metrics"
)

// proxies returns the metrics of all proxies.
func (s *Sources) proxies() metrics.Group {
	return metrics.Of("Proxies", func() proxy.Stats { return s.Proxies.Stats() },
		metrics.Level("vespo_tunnels", "WebSockets and other connections that have switched protocols.", func(p proxy.Stats) int { return p.Tunnels }),
		metrics.Level("vespo_tunnels_limit", "Most of them (--tunnels).", func(p proxy.Stats) int { return p.MaxTunnels }),
	)
}

// queues returns the metrics of all queues together.
func (s *Sources) queues() metrics.Group {
	return metrics.Of("Queues", func() queue.Stats { return s.Queues.Stats() },
		metrics.Level("vespo_queues", "Prefixes with a queue.", func(q queue.Stats) int { return q.Queues }),
		metrics.Level("vespo_queue_workers_waiting", "Workers that wait for a request.", func(q queue.Stats) int { return q.Workers }),
		metrics.Level("vespo_queue_requests_bytes", "Memory of requests in queues.", func(q queue.Stats) int64 { return q.Requests.HeldBytes }),
		metrics.Level("vespo_queue_requests_limit_bytes", "Limit of that memory.", func(q queue.Stats) int64 { return q.Requests.SizeBytes }),
		metrics.Level("vespo_queue_replies_bytes", "Memory of answers that are not sent yet.", func(q queue.Stats) int64 { return q.Replies.HeldBytes }),
		metrics.Level("vespo_queue_replies_limit_bytes", "Limit of that memory.", func(q queue.Stats) int64 { return q.Replies.SizeBytes }),
		metrics.Level("vespo_queue_stored", "Requests on disk or in the engine (--queues), with ended ones whose result is kept.", func(q queue.Stats) int { return q.Stored }),
		metrics.Level("vespo_queue_stored_bytes", "Size of these.", func(q queue.Stats) int64 { return q.StoredBytes }),
		metrics.Field[queue.Stats]{
			Desc: metrics.Desc{
				Name: "vespo_queue_store_broken",
				Type: metrics.Gauge,
				Help: "1 if the file of stored requests was found damaged while in use.",
			},
			Emit: func(q queue.Stats, to *metrics.Sink) { to.Flag(q.Broken) },
		},
		metrics.Field[queue.Stats]{
			Desc: metrics.Desc{Name: "vespo_queue_engine_away", Type: metrics.Gauge, Help: "1 if the engine of the queues (--queues) could not be used at the last attempt."},
			Emit: func(q queue.Stats, to *metrics.Sink) { to.Flag(q.Away) },
		},
	)
}

// functions returns the metrics of functions whose workers are processes.
func (s *Sources) functions() metrics.Group {
	return metrics.Of("Functions", func() function.Stats { return s.Functions.Stats() },
		metrics.Level("vespo_function_endpoints", "Open Runtime APIs.", func(f function.Stats) int { return f.Endpoints }),
		metrics.Field[function.Stats]{
			Desc: metrics.Desc{
				Name:   "vespo_function_workers",
				Type:   metrics.Gauge,
				Labels: "state",
				Help:   "Workers of functions: idle, or busy with an event.",
			},
			Emit: func(f function.Stats, to *metrics.Sink) {
				to.Value(float64(f.Waiting), "idle")
				to.Value(float64(f.Busy), "busy")
			},
		},
		metrics.Level("vespo_function_events_waiting", "Events without a worker.", func(f function.Stats) int { return f.Queued }),
		metrics.Level("vespo_function_held_bytes", "Payloads and outputs of invocations in progress.", func(f function.Stats) int64 { return f.Held.HeldBytes }),
		metrics.Level("vespo_function_held_limit_bytes", "Limit of that memory.", func(f function.Stats) int64 { return f.Held.SizeBytes }),
	)
}

// stores returns the metrics of key-value stores.
func (s *Sources) stores() metrics.Group {
	read := func() kv.Totals {
		if s.Stores == nil {
			return kv.Totals{}
		}
		return s.Stores.Totals()
	}
	return metrics.Of("Key-value stores", read,
		metrics.Level("vespo_kv_stores", "Key-value stores.", func(t kv.Totals) int { return t.Stores }),
		metrics.Level("vespo_kv_keys", "Keys in all of them.", func(t kv.Totals) int64 { return t.Keys }),
		metrics.Level("vespo_kv_bytes", "Size of their keys and values.", func(t kv.Totals) int64 { return t.Bytes }),
		metrics.Field[kv.Totals]{
			Desc: metrics.Desc{Name: "vespo_kv_engine_away", Type: metrics.Gauge, Help: "1 if the engine of the key-value stores (--kv) could not be used at the last attempt."},
			Emit: func(t kv.Totals, to *metrics.Sink) { to.Flag(t.Away) },
		},
	)
}
