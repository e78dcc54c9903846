// Package httpwasm serves guests that implement the http-wasm
// HTTP handler ABI, the native ABI of Vespo's guest SDK.
//
// A guest exports handle_request, and handle_response if it passes requests on. It imports functions
// of the host module http_handler. Source of the format: https://http-wasm.io/http-handler-abi/.
//
// Where the specification leaves room:
//
//   - A response streams: output is sent at the next pause of the guest, when abi.HoldBytes have accumulated,
//     or when the guest ends, unless it has enabled feature_buffer_response. Status and header are those of
//     the first write.
//   - A guest that passes a request on without a next handler gets a response with status 404 to work on.
//   - A guest that reads the request body without feature_buffer_request cannot pass the request on, unless
//     it writes a body of its own: the outcome is "bad answer".
//   - With feature_buffer_response, read_body continues in the next handler's body while write_body writes
//     another one.
//   - If the next handler fails, its response is dropped. The guest can replace it by setting a status or
//     writing a body.
//   - Hop-by-hop fields (Connection, Transfer-Encoding ...), the request's Content-Length, and trailers that
//     a recipient needs before the body are dropped when a guest sets them.
//   - A malformed method, URI, field name or value, or a status outside of 200 to 599, ends the exchange with
//     the outcome "bad answer".
//   - The header fields of one exchange are bounded by abi.MaxHeaderBytes, buffered bodies by
//     Config.BufferBytes.
//   - get_config returns the service's settings: their text, or those by name as one JSON object.
package httpwasm
