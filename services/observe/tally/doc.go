// Package tally counts the requests of each version once, for all that report on them: metrics, statistics and sums for charging.
// They read the counters, and subtract earlier readings.
//
// # Cost
//
// A route of the router has the listener of its version, so a request finds its counters without a search. It adds to a few
// atomic numbers, on four cache lines in the usual case. It takes no lock and allocates nothing, except for the first request
// of a version, which allocates the counters.
//
// # Versions
//
// [Tally.Follow] makes a [Version] for each route that serves requests, before the router uses it. A version that leaves the
// table is listed for a while, and until its last request is over: after that its counters do not change. A service that leaves
// the table is gone. If one with its key comes later, that is another [Service].
//
// # Locks
//
// Tally.mu guards the set of services and their versions. Requests never take it.
package tally
