// Package peer reads from the management APIs of other hosts that have the same catalogue: blobs by their digests.
//
// The digest identifies a blob, so any host can send it. A broken transfer resumes where it was, also from another
// host, and its bytes are hashed as they arrive. A [Fetcher] bounds size, time, silence, attempts and the number of
// transfers at a time. A [Store] is a registry.BlobStore that fetches what it lacks.
//
// # Concurrency
//
// Everything is safe for concurrent use. Lock order: none; mu of a Store is held only briefly. The package starts no
// goroutine that outlives a call, except those of net/http, which end with [Host.Close].
package peer
