// Package wasm implements the service kind for WebAssembly modules. It prepares deployments
// on the runtime, turns HTTP requests into exchanges, and turns outcomes into responses.
// For functions that are modules, it prepares runners of events.
package wasm
