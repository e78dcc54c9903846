// Package httpwasm serves guests that speak the http-wasm HTTP handler ABI, the native ABI of Vespo's guest SDK.
//
// The guest exports handle_request, and handle_response if it passes requests on; it imports what it needs of the host
// module http_handler. Source of the format: https://http-wasm.io/http-handler-abi/.
//
// Where the specification leaves room:
//
//   - A response streams: what the guest writes goes out with the next pause of the guest or at its end, unless it has
//     asked for feature_buffer_response.
//   - A guest that passes a request on although nothing is behind it gets a response with status 404 to work on.
//   - Header fields between neighbours (Connection, Transfer-Encoding ...) are dropped when a guest sets them.
//   - A malformed field name or value, or a status outside of 200 to 599, ends the exchange with the outcome "bad answer".
//   - Header fields of one answer are bounded by abi.MaxHeaderBytes, buffered bodies by Config.BufferBytes.
package httpwasm
