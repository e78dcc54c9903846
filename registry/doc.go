// Package registry is the catalogue: for each route key it holds the current version of the service and earlier
// ones. Beside the services it has records, in which other parts of the server keep state of their own.
//
// A [State] is immutable; the functions in state.go derive the next one from it and have no other effect. A
// [Registry] holds the current state in one atomic pointer, and makes a change durable through a [Store]
// before it is visible. Blobs are in a [BlobStore] apart; the Registry decides which of them are garbage. The
// package does not depend on HTTP, files or WebAssembly.
//
// # Concurrency
//
// Readers call [Registry.State] and keep the result, which never changes. Writers are serialised by commitMu.
// A writer whose base state is no longer the current one is refused with [ErrStale].
//
// Lock order: commitMu before blobMu. Neither is held while a caller's code runs. commitMu is held during
// Store.Commit, blobMu during BlobStore.Delete.
package registry
