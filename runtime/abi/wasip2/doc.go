// Package wasip2 implements the interfaces of WASI 0.2 that are not HTTP for components: streams and polling, clocks, random
// numbers, the environment, the standard streams, and read-only access to the directories mounted for the service. All
// functions for sockets exist, and refuse: a guest has no network of its own.
//
// All versions 0.2.x share the functions, which are registered with the version "0.2". A function that a version has not
// yet is of no use to its guests.
//
// The state belongs to a request and not to an instance. What a guest can hold is bounded: handles by
// canonical.MaxHandles, pollables in one poll by engine.MaxAwaited, bytes of one read by ReadBytes.
//
// Source of the interfaces: the WebAssembly/WASI repository, proposals of 0.2.12.
package wasip2
