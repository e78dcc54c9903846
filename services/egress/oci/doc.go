// Package oci pulls modules from registries and pushes modules to them.
//
// A module is an artifact of the form that the CNCF's TAG Runtime has published for WebAssembly: a manifest whose config
// has the type application/vnd.wasm.config.v0+json, and one layer of the type application/wasm. Pull also takes the layer
// types of older tools: see wasmLayer. An index is searched for its one manifest for WebAssembly.
//
// The caller provides the HTTP client, whose dialler decides which addresses are reached, and the credentials. Redirects,
// such as those to blob stores, go through the same client. Sizes are bounded before anything is read, and the content
// is checked against its digest.
//
// Errors are *Error: their text is for the person who named the reference, and has no credentials.
package oci
