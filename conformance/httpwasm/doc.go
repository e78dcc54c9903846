// Package httpwasm runs the http-wasm conformance kit against a real server: its guest as the middleware of a proxy to its backend.
package httpwasm
