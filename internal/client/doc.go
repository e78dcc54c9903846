// Package client owns what a handler does with its client: it reads the body of a request and writes the
// response, each within bounds. A client that sends or reads too slowly fails its own request, and holds
// nothing longer than that.
//
// A [Body] reads a request's body: it bounds size, rate and time, and records how reading ended. A [Writer]
// sends a response: for as long as the client keeps reading, or until a deadline. [Drain] discards what a client
// still sends, and [Bound] sets the limits of requests that nothing else bounds. The deadlines of a client's
// connection are set in this package alone. Errors of setting them are ignored: a connection without deadlines
// is not one of a server, and needs none.
//
// Lock order: Body.mu and Writer.mu are leaves; the connection's own locks are taken under them.
package client
