// Package concurrent implements the concurrency of the Component Model for one component instance: tasks, subtasks,
// waitable sets, streams and futures, as guests with WASI 0.3 interfaces use them.
//
// One goroutine runs the guest and all of this package. What the host does for the guest at the same time are a [Peer],
// which is the host's end of a stream or future, and an [Operation], which is a call of a host function. Both say by a
// channel when they can go on, and never wait. They go on in [State.Poll], which each wait of the guest calls.
//
// Each task begins with a new State. All that a guest can accumulate in it is bounded: handles by MaxHandles, and
// operations that wait for the host by engine.MaxAwaited. Misuse traps, as the specification demands.
//
// Handles of resources are not in this package's table. A guest cannot notice, except that a handle of the wrong kind
// can be reported as unknown.
//
// Source of the semantics: the WebAssembly/component-model repository, design/mvp/CanonicalABI.md and Concurrency.md.
package concurrent
