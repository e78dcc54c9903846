// Package follow copies the catalogue of one host, the primary, to others.
//
// A [Feed] is the primary's side: it answers requests for the catalogue with the whole of it, with the changes since a
// generation, or, when there are none, after a wait. A [Follower] asks again and again, and lets the Deployer adopt what it
// receives. See RATIONALE.md for what a follower checks before.
//
// # Requests
//
//	GET /services/catalogue [?id=ID][&run=RUN&after=GENERATION][&wait=DURATION]
//
// The answer is one catalogue or one change in the form of package filestore, with an ETag. Its header names the identity of
// the catalogue (Vespo-Catalogue), the run of the server (Vespo-Run) and the generation (Vespo-Generation). A request
// with the run and a generation of an earlier answer gets the change since, if the server still has that state, and
// otherwise the whole. If the generation is the current one, the server waits for the next, at most for wait, and answers 304
// without one. A request with the identity of another catalogue, or with a later generation, is answered 409.
//
// # Concurrency
//
// A Feed is safe for concurrent use. encoding is held while a state is encoded, once for all followers; lock order:
// encoding before mu. A Follower has one goroutine, that of Run. All its other methods are safe for concurrent use; mu is held
// only briefly.
package follow
