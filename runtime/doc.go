// Package runtime is the room that runs guests: it is documentation only, the code is in the packages below it.
//
// A guest is a WebAssembly module written by somebody else. The way of a request through this room:
//
//	pool      Acquire an instance: warm, restored from the snapshot, or cold (compiled first)
//	abi/*     serve one Exchange through one guest ABI: http-wasm, CGI
//	engine    call the guest, classify the Outcome
//	pool      reset in place and keep warm; anything but a clean end is discarded
//
// # Glossary
//
//   - Module: a compiled WebAssembly module, rewritten for Vespo (package internal/rewrite).
//   - Instance: one instantiation of a module, bound to one slot. It serves one request at a time.
//   - Linear memory: what the guest sees as its memory. A Page is 64 KiB; pages of the operating system are
//     called host pages.
//   - Slab: the one mapping that all linear memories are cells of (package internal/slab). Slot: one cell.
//   - Image: the golden copy of a module's linear memory. Snapshot: the image, the values of all mutable globals
//     and the memory's size after the guest's initialisation. (wazero's experimental Snapshotter is something
//     else: a checkpoint of a call stack. It is not used here.)
//   - Reset: bring a used instance back to the snapshot in place. Decommit: give its private host pages back to the
//     operating system.
//   - Fuel: a counter in the rewritten module. Below zero the guest calls the host (a yield), where the deadline is
//     read and others may run. A slice is the time between two yields.
//   - Turn: the right of a guest that runs for long to use a processor (package internal/turns).
//   - Outcome: how a call into the guest ended: ok, exit, trap, out of memory, stack overflow, deadline, canceled,
//     host error.
//
// # Lock order
//
// pool.Set.mu before pool.Pool.mu before the slab's own lock. No lock is held while a guest runs.
//
// # Import law
//
// Only packages below this one import wazero; none of them imports net/http. The reasons for the larger decisions are
// in RATIONALE.md beside this file.
package runtime
