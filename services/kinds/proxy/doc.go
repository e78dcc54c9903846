// Package proxy implements the service kind that forwards requests to other HTTP servers,
// the upstreams. A [Document] lists the upstreams and the changes to requests and responses.
//
// Each request has its own httputil.ReverseProxy with an exchange on both sides. As the
// RoundTripper, the exchange chooses an upstream, and retries on another one where that
// is safe (RFC 9110, section 9.2.2). As the ResponseWriter, it notes who ended the
// request, and why. A request ends when the client leaves, when the deployment closes,
// or when no response begins in time. exchange.failure maps each of these to an answer.
//
// Limits apply to the request body, the time until the response header,
// each write to the client (services/internal/client), the idle
// connections to each upstream and, by admission, the number of requests.
//
// # Concurrency
//
// balancer.mu guards the state of the upstreams. requestBody.mu guards the state of a
// body, which the transport reads on its own goroutine. patience.mu guards the wait for a
// response, which parts of the body extend. No other lock is taken while one of them is
// held, and nothing blocks under them. The timers and watches of an exchange end with it.
package proxy
