// Package conns has the listener of the server: it bounds how many connections are open, how long one may be idle, and how long a
// client may take for what is written to it.
//
// The HTTP server can set deadlines for the latter two itself, at each request anew: that costs as much as finding the service that
// is to answer. Here a connection only notes, by a clock that ticks once in a while, since when it is idle or waits for the client, and
// Watch looks at all connections at each tick.
package conns
