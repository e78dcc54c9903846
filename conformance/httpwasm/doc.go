// Package httpwasm runs the http-wasm conformance kit against a real server, with the kit's
// guest as the middleware of a proxy to its backend.
package httpwasm
