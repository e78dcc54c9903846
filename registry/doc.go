// Package registry is the catalogue: which version of which service is bound to which prefix, and which ones came
// before.
//
// A [State] is immutable; the functions in state.go make the next one from it and touch nothing else. A [Registry]
// holds the current state behind one atomic pointer and makes a change durable through a [Store] before anybody can
// see it. The package knows nothing of HTTP, of files and of WebAssembly.
//
// # Concurrency
//
// Readers call [Registry.State] and keep what they got; nothing in it ever changes. Writers are serialised by
// commitMu, and a writer that worked from a state which is no longer the current one is refused with [ErrStale].
//
// Lock order: commitMu before blobMu. Neither is held while a caller's code runs; commitMu is held during Store.Save,
// blobMu during Store.DeleteBlob.
package registry
