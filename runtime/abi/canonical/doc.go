// Package canonical implements the host's side of the component model's canonical ABI: strings, lists and records in the
// guest's memory, which the guest itself allocates, and the handles by which a guest refers to resources of the host.
//
// A component is run as its core module, so that a host function gets flat parameters: numbers, addresses and handles. What
// a guest passes is never trusted. A bad address, a string that is not UTF-8, a handle that the guest does not own or that has
// another type, and a parent that is dropped before its children end the guest with a trap.
//
// Handles belong to one call of the guest, at most MaxHandles at a time. Close drops them all at its end.
//
// Source of the format: the WebAssembly/component-model repository, design/mvp/CanonicalABI.md.
package canonical
