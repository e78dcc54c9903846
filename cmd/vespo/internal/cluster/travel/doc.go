// Package travel exchanges compiled code and snapshots between hosts of one catalogue, so that a new host need not compile.
//
// Machine code is executed outside of the sandbox. So a host takes it only from hosts that the catalogue's store
// announces, over a connection to the announced certificate, with a signature by the announced key over the question, the
// [engine.Engine.Likeness] and the digests of the content. Anything else is refused, counted and logged, its host is
// not asked for some time, and the code is compiled here.
//
// # Concurrency
//
// An [Exchange] is safe for concurrent use, and starts no goroutine. mu is a leaf.
package travel
