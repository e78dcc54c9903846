// Package conns implements the server's listener. It bounds the number of open connections, in all and per
// address, how long a connection may be idle, and how long a client may take to read a response.
//
// The HTTP server can set deadlines for the latter two at each request, but that costs as much
// as routing the request. Here a connection only stores since when it has been idle or blocked
// in a write, by a clock that ticks once a second. Watch checks all connections at each tick.
//
// With Config.ProxyProtocol, connections of trusted proxies begin with a PROXY header,
// which has the address of the client. RemoteAddr remains the peer of the TCP connection.
//
// With Config.TLS, Accept returns TLS connections on top of these. All bounds apply to the TCP connection below: a
// handshake is part of the wait for the first request, and a slow one makes room for others as an idle connection does.
//
// Lock order: Listener.mu is the only lock and is a leaf.
package conns
