// Package pool keeps the instances of a module between requests: warm ones are taken last in first out, missing ones are
// restored from the snapshot, and a module whose compiled code was evicted is loaded again by the first request.
//
// A pool never queues. Admission lets no more requests in than there are slots, and every warm instance can be reclaimed:
// so a request that was admitted always finds a slot. The spare slots of the engine are for one deploy and one refill.
// ErrNoSlot is therefore a broken promise, not an overload, and is reported as such.
//
//	            Acquire                    Release, clean
//	warm  ------------------>  in use  ------------------>  warm
//	  |                          |  Release, not clean
//	  | reclaim, Shrink, Close   +------------------------>  closed, slot free
//	  +---------------------------------------------------> closed, slot free
//
// Lock order: Set.mu before Pool.mu. Set.mu is held while slots change hands, so that a slot on its way from one service to
// another is never overlooked; it is not held while a guest is instantiated or runs.
package pool
