// Package conns has the listener of the server. It bounds how many connections are open, in all and from one address, how long one may
// be idle, and how long a client may take for what is written to it.
//
// The HTTP server can set deadlines for the latter two itself, at each request anew: that costs as much as finding the service that
// answers. Here a connection only notes, by a clock that ticks once a second, since when it is idle or waits for the client, and
// Watch looks at all connections at each tick.
//
// Where proxies are trusted to, a connection begins with a PROXY header, which tells where the client is. RemoteAddr stays the peer of the
// TCP connection.
//
// Lock order: Listener.mu is the only lock and is a leaf.
package conns
