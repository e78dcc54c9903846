// Package cache keeps answers of services in memory and answers later requests from them, by the rules of RFC 9111 for shared
// caches. It stores only answers that say so themselves: without an explicit lifetime there is no storing, and where a rule is
// unclear, an answer is not stored.
//
// A server has one [Store], which bounds the memory of all answers. Each version of a service has a [Cache] of its own in it, so
// that no version serves the answers of another one. [Cache.Fetch] returns a [Hit], or a [Fill] that records the answer of the
// service. Concurrent requests for one target share one Fill if they can.
//
// Lock order: Fill.mu, then Store.mu, which is a leaf.
package cache
