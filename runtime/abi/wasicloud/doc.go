// Package wasicloud implements what components of WASI use beside HTTP, files and clocks: key-value stores, settings and log
// lines. The interfaces are wasi:keyvalue, wasi:config and wasi:logging, in their drafts, and vespo:kv, which has what
// wasi:keyvalue lacks.
//
// Drafts differ in their functions and types, so each is registered under its full version:
//
//	wasi:keyvalue/store, atomics, batch  0.2.0-draft, 0.2.0-draft2
//	wasi:config/store                    0.2.0-draft, 0.2.0-rc.1
//	wasi:config/runtime                  0.2.0-draft
//	wasi:logging/logging                 0.1.0-draft, and without a version
//	vespo:kv/store                       0.1.0 (guest-sdk/wit/vespo-kv.wit)
//
// The 0.2.0-draft2 is the one of September 2024, as Spin has it: cas-failed carries a handle alone.
//
// Sources: the WebAssembly/wasi-keyvalue, wasi-config and wasi-logging repositories.
package wasicloud
