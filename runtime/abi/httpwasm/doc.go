// Package httpwasm serves guests that speak the http-wasm HTTP handler ABI, the native ABI of Vespo's guest SDK.
//
// The guest exports handle_request, and handle_response if it passes requests on; it imports what it needs of the host
// module http_handler. Source of the format: https://http-wasm.io/http-handler-abi/.
//
// Where the specification leaves room:
//
//   - A response streams: what the guest writes goes out with the next pause of the guest, when abi.HoldBytes have gathered, or at
//     its end, unless it has asked for feature_buffer_response. Status and header are those of the first write.
//   - A guest that passes a request on although nothing is behind it gets a response with status 404 to work on.
//   - Behind a guest that has read the request's body without feature_buffer_request there is no body: reading it fails.
//   - With feature_buffer_response, read_body goes on in the body that came from behind while write_body writes another one.
//   - If what is behind the guest fails, its answer is dropped. The guest can give one in its place, by a status or a body.
//   - Header fields between neighbours (Connection, Transfer-Encoding ...), the request's Content-Length, and trailers that a
//     recipient needs before the body are dropped when a guest sets them.
//   - A malformed method, URI, field name or value, or a status outside of 200 to 599, ends the exchange with the outcome
//     "bad answer".
//   - Header fields of one answer are bounded by abi.MaxHeaderBytes, buffered bodies by Config.BufferBytes.
//   - get_config gives the service's settings as one JSON object.
package httpwasm
