// Package forward passes requests on to other hosts of the same catalogue: those to a service whose code is not loaded here. For
// each service one of the hosts is its home, by rendezvous hashing, and the code of a service with few requests is loaded there
// alone. A service with many requests is loaded on all hosts.
//
// A request takes one hop at most: the home serves it, or declines. It declines before it has run or read anything, and then the
// first host serves the request itself. A request that may have run is never sent again.
//
// # Concurrency
//
// All is safe for concurrent use, and there are no locks: the state of a service and of a peer are single atomic numbers. No
// goroutine outlives a request, except those of the transport for idle connections.
package forward
