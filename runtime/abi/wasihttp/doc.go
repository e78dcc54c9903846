// Package wasihttp serves guests that are components of WASI 0.2: they export wasi:http/incoming-handler. All versions 0.2.x
// are the same to it. Where the interface leaves room:
//
//   - The header of a request has lower-case names, sorted, and neither Host, which is the authority, nor fields of the
//     connection. A guest can set none of these either: "forbidden".
//   - The response streams: what the guest writes is sent at its next pause, when abi.HoldBytes have accumulated, or when the
//     body is finished. Until then a guest that fails gets an error response.
//   - A write to a client that reads slowly waits in the host, so that the guest need not poll.
//   - A body that is written before its response or request is sent is kept, up to pendingBytes.
//   - A guest that never sets a response, answers with an error-code, or leaves the body of its response unfinished has
//     the outcome "bad answer". Setting a second response is a trap, as the handle is gone.
//   - Requests of the guest go through abi.Outbound. The connect-timeout and the first-byte-timeout of its options count
//     together from the start of the request; the between-bytes-timeout applies to each read of the response's body.
//
// What a guest can hold is bounded: handles by canonical.MaxHandles, the bytes of all header fields and texts of requests by
// httptypes.MaxFieldBytes, the body bytes that are kept by pendingBytes for each body and maxPendingBytes for all, and requests by
// abi.Outbound.
//
// Source of the interface: the WebAssembly/wasi-http repository, 0.2.12.
package wasihttp
