package instruments

import (
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/observe/metrics"
)

// slots returns the metrics of instances and their memory.
func (s *Sources) slots() metrics.Group {
	return metrics.Of("Slots and instances", func() wasm.Stats { return s.Modules.Stats() },
		metrics.Field[wasm.Stats]{
			Desc: metrics.Desc{
				Name:   "vespo_slots",
				Type:   metrics.Gauge,
				Labels: "state",
				Help:   "Slots of the slab by state: cold (no instance), warm (an instance is ready), used (by a request, or for preparing a module).",
			},
			Emit: func(w wasm.Stats, to *metrics.Sink) {
				to.Value(float64(w.FreeSlots), "cold")
				to.Value(float64(w.Pools.Warm), "warm")
				to.Value(float64(max(0, w.Slots-w.FreeSlots-w.Pools.Warm)), "used")
			},
		},
		metrics.Level("vespo_slot_size_bytes", "Size of one slot.", func(w wasm.Stats) int64 { return w.SlotBytes }),
		metrics.Level("vespo_snapshots_bytes", "Memory of the snapshots of all modules.", func(w wasm.Stats) int64 { return w.ImageBytes }),
		metrics.Level("vespo_instances", "Open instances.", func(w wasm.Stats) int { return w.Instances }),
		metrics.Level("vespo_instances_asleep", "Of these, instances without a slot: they wait for the next request of their service.",
			func(w wasm.Stats) int { return w.Pools.Asleep }),
		metrics.Level("vespo_pools", "Modules that are bound to a prefix or in front of a service.", func(w wasm.Stats) int { return w.Pools.Pools }),
		metrics.Level("vespo_pools_loaded", "Of these, those whose compiled code and snapshot are in memory.", func(w wasm.Stats) int { return w.Pools.Loaded }),
		metrics.Count("vespo_instances_discarded_total", "Instances that were closed after a request that did not end well, or because of a failed reset.",
			func(w wasm.Stats) int64 { return w.Pools.Counts.Discarded }),
		metrics.Count("vespo_instances_refilled_total", "Instances that were created in the background for discarded ones.",
			func(w wasm.Stats) int64 { return w.Pools.Counts.Refilled }),
		metrics.Count("vespo_instances_evicted_total", "Warm instances that lost their slots to another service.",
			func(w wasm.Stats) int64 { return w.Pools.Counts.Reclaimed }),
		metrics.Field[wasm.Stats]{
			Desc: metrics.Desc{
				Name:   "vespo_processor_turns",
				Type:   metrics.Gauge,
				Labels: "state",
				Help:   "Processors that long calls of guests take turns on: limit, held, and calls that wait.",
			},
			Emit: func(w wasm.Stats, to *metrics.Sink) {
				to.Value(float64(w.Turns.Turns), "limit")
				to.Value(float64(w.Turns.Held), "held")
				to.Value(float64(w.Turns.Waiting), "waiting")
			},
		},
	)
}

// code returns the metrics of compiled code.
func (s *Sources) code() metrics.Group {
	return metrics.Of("Compiled code", func() wasm.Stats { return s.Modules.Stats() },
		metrics.Level("vespo_modules", "Open modules.", func(w wasm.Stats) int { return w.Modules }),
		metrics.Level("vespo_code_loaded", "Compiled code in memory; modules that differ in data alone share it.", func(w wasm.Stats) int { return w.Codes }),
		metrics.Level("vespo_code_memory_bytes", "Compiled code and snapshots in memory; of mapped code the resident part, snapshots without their zeros.", func(w wasm.Stats) int64 { return w.CodeBytes }),
		metrics.Level("vespo_code_mapped_bytes", "Files of compiled code that are mapped; a part of them is in memory.", func(w wasm.Stats) int64 { return w.MappedBytes }),
		metrics.Level("vespo_code_memory_limit_bytes", "Most of vespo_code_memory_bytes; the least recently used services make room (--code-memory).", func(w wasm.Stats) int64 { return w.CodeLimit }),
		metrics.Count("vespo_code_unloads_total", "Releases of the code and the snapshot of a module: unused for long, or beyond --code-memory.",
			func(w wasm.Stats) int64 { return w.Pools.Counts.Unloaded }),
		metrics.Count("vespo_code_decodings_total", "Modules whose code was decoded.", func(w wasm.Stats) int64 { return w.Decodings }),
		metrics.Level("vespo_code_decoded_bytes", "Decoded modules that wait for their compilation.", func(w wasm.Stats) int64 { return w.DecodedBytes }),
		metrics.Level("vespo_function_types", "Function types that are kept until the server ends.", func(w wasm.Stats) int { return w.Types }),
		metrics.Level("vespo_function_types_bytes", "Estimated memory of these.", func(w wasm.Stats) int64 { return w.TypeBytes }),
		metrics.Level("vespo_code_cache_files", "Files of compiled code on disk.", func(w wasm.Stats) int { return w.Code.Files }),
		metrics.Level("vespo_code_cache_bytes", "Disk space of compiled code and snapshots.", func(w wasm.Stats) int64 { return w.Code.Bytes }),
		metrics.Level("vespo_code_cache_snapshots", "Snapshots on disk.", func(w wasm.Stats) int { return w.Code.Snapshots }),
		metrics.Level("vespo_code_cache_snapshots_bytes", "Disk space of these, a part of vespo_code_cache_bytes.", func(w wasm.Stats) int64 { return w.Code.SnapshotBytes }),
		metrics.Count("vespo_snapshots_recalled_total", "Snapshots that were found on disk: their guests were not initialised.", func(w wasm.Stats) int64 { return w.Recalled }),
		metrics.Field[wasm.Stats]{
			Desc: metrics.Desc{
				Name:   "vespo_code_cache_requests_total",
				Type:   metrics.Counter,
				Labels: "result",
				Help:   "Compiled code that was looked for on disk: hit, or miss (it has to be compiled).",
			},
			Emit: func(w wasm.Stats, to *metrics.Sink) {
				to.Value(float64(w.Code.Hits), "hit")
				to.Value(float64(w.Code.Misses), "miss")
			},
		},
	)
}

// compiler returns the metrics of compilations.
func (s *Sources) compiler() metrics.Group {
	return metrics.Of("Compilations", func() wasm.Stats { return s.Modules.Stats() },
		metrics.Level("vespo_compilations_parallel", "Compilations that may run at a time.", func(w wasm.Stats) int { return w.Compiler.Parallel }),
		metrics.Level("vespo_compilations_running", "Compilations in progress.", func(w wasm.Stats) int { return w.Compiler.Running }),
		metrics.Level("vespo_compilations_waiting", "Compilations that wait for a turn.", func(w wasm.Stats) int { return w.Compiler.Waiting }),
		metrics.Field[wasm.Stats]{
			Desc: metrics.Desc{
				Name:   "vespo_compilations_total",
				Type:   metrics.Counter,
				Labels: "result",
				Help:   "Compilations by result: ok, refused (invalid, or beyond the limits of memory and time), failed (cancelled, or because of the host).",
			},
			Emit: func(w wasm.Stats, to *metrics.Sink) {
				to.Value(float64(w.Compiler.Compiled), "ok")
				to.Value(float64(w.Compiler.Refused), "refused")
				to.Value(float64(w.Compiler.Failed), "failed")
			},
		},
		metrics.Count("vespo_compilation_seconds_total", "Time of all compilations together, without their wait.",
			func(w wasm.Stats) float64 { return w.Compiler.Time.Seconds() }),
	)
}
