// Package s3store keeps the blobs of a catalogue in an object store that speaks the protocol of Amazon S3. A blob is one object, named
// PREFIX/sha256/DIGEST. It is checked against its digest when it is read.
//
// # Concurrency
//
// A [Store] is safe for concurrent use. It starts no goroutine, except those of net/http, which end with Close.
package s3store
