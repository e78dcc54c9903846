// Package frames is between net/http and a connection of HTTP/2, and saves system calls: it sends the header and the body of a response
// together, and reads the head and the payload of a frame together.
//
// net/http flushes each header at once, and knows only then that a body follows: with two writes, two packets, and two records of TLS
// for the smallest response. Here a header waits for its body if the handler has returned, as the body is on its way then. A header
// whose body does not come, because the client takes none, waits for patience at most. Headers that a handler flushes, informational
// ones and 100 Continue do not wait, unless other handlers of the connection have just returned: then they do for patience, too.
//
// Frames are followed by their heads alone, and not changed.
//
// Lock order: Conn.mu, Gatherer.mu.
package frames
