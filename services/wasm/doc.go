// Package wasm is the kind of service that is a WebAssembly module: it prepares deployments on the runtime and turns HTTP
// requests into exchanges and outcomes into answers.
package wasm
