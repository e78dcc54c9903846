// Package runtime is the root of the packages that run guests. It contains only documentation.
//
// A guest is an untrusted WebAssembly module. A request passes through these packages:
//
//	pool      Acquire an instance: warm, restored from the snapshot, or cold (code loaded first)
//	abi/*     serve one Exchange through one guest ABI (http-wasm, CGI), or run one Event (command)
//	engine    call the guest, classify the Outcome
//	pool      reset in place and keep warm; anything but a clean end is discarded
//
// # Glossary
//
//   - Module: a compiled WebAssembly module, rewritten for Vespo (package internal/rewrite).
//   - Instance: one instantiation of a module, bound to one slot. It serves one request at a time.
//   - Linear memory: the memory of a guest. A Page is 64 KiB; pages of the operating system are called host pages.
//   - Slab: the mapping that contains all linear memories (package internal/slab). Slot: one cell of the slab.
//   - Image: the golden copy of a module's linear memory. Snapshot: the image, the values of all mutable globals
//     and the memory's size after the guest's initialisation. (It is unrelated to wazero's experimental
//     Snapshotter, a checkpoint of a call stack, which is not used here.)
//   - Reset: restore a used instance to the snapshot in place. Decommit: return its private host pages to the
//     operating system.
//   - Fuel: a counter in the rewritten module. Below zero the guest calls the host (a yield), which checks the
//     deadline and lets other guests run. A slice is the time between two yields.
//   - ABI: an interface between guests and the host. One value of package abi brings its host modules, the state
//     of an instance, and the abilities of its guests.
//   - Exchange: one request as a guest sees it. Event: one call of a function, bytes in and bytes out.
//   - Turn: the right of a long-running guest to use a processor (package internal/turns).
//   - Outcome: the result of a call into the guest: ok, exit, trap, out of memory, stack overflow, deadline,
//     work limit, canceled, host error.
//   - Work: what a guest takes of its fuel in a request. It is the same for the same execution on every host.
//
// # Lock order
//
// pool.Set.mu before pool.Pool.mu before the slab's own lock. No lock is held while a guest runs.
//
// # Import law
//
// In the server, only packages below this one import wazero, and none of them imports net/http. RATIONALE.md
// in this directory explains the larger decisions.
package runtime
