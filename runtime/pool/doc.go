// Package pool keeps the instances of a module between requests. An instance that a processor has just used stays with
// it (package spare) for its next request of the module, without a lock. Other warm instances are taken in LIFO order, missing ones are restored from the snapshot, and if a module's
// compiled code was evicted, the first request loads it again.
//
// A pool never queues. Admission admits no more requests than there are slots, and every warm instance
// can be reclaimed, so an admitted request always finds a slot. The spare slots of the engine are for
// the modules that are prepared (engine.Config.Preparing) and one refill. ErrNoSlot therefore means a bug and not an overload, and is reported as such.
//
//	            Acquire                    Release, clean
//	warm  ------------------>  in use  ------------------>  warm
//	  |                          |  Release, not clean
//	  | reclaim, Shrink, Close   +------------------------>  closed, slot free
//	  +---------------------------------------------------> asleep (reclaim) or closed, slot free
//
// An instance whose slot was reclaimed is asleep: all but its memory stays for the next request of its pool. There is at most one in
// a pool, and those that are asleep for longest are closed if all exceed a limit on memory.
//
// A set can have far more pools than slots. So a slot is sought only among the pools that have one. These, and the pools with code that may
// be released, are in heaps, least recently used first. For a slot, the use of single instances counts: one that a service needed only while it
// had many requests at a time goes before those of services that are used less.
//
// Lock order: Set.mu before Pool.mu before sleepers.mu. Set.mu is held while an instance is chosen for its slot. It is not held while that is
// closed, or while a guest is instantiated or runs: an instance that is to be closed counts as in use, and its slot belongs to the request
// that has chosen it.
package pool
