// Package lane serves most requests of HTTP/1.1 at a fraction of the price of net/http, and leaves the rest to it.
//
// Each connection starts in the lane: a loop that reads requests of a strict subset of HTTP/1.1 and calls the
// handler of an http.Server. With the first byte outside of the subset, the connection goes to that http.Server, with all
// bytes of the request that were read, and stays there. No handler has seen a part of the request by then.
//
// With TLS, the lane completes the handshake first. If the client chooses another protocol than HTTP/1.1, or the handshake
// fails, the connection goes to the http.Server, too. Connections of HTTP/2 go there through package frames.
//
// The subset: the methods GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS; a target in origin form; HTTP/1.1; one valid
// Host; fields of printable ASCII, each on one line that ends with CRLF; no body or one Content-Length; a Connection of
// close or keep-alive; no Transfer-Encoding, Expect, Upgrade, TE or Trailer; a head of at most 4 KiB.
//
// A handler cannot tell the two apart, and neither can a client, save for the order of fields in a response. Timeouts and
// SetKeepAlivesEnabled of the http.Server are not applied: the listener bounds how long a connection may be idle or blocked.
//
// Lock order: response.mu, body.mu, watch.mu. requestContext.mu and Server.mu are leaves.
package lane
