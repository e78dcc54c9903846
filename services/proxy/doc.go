// Package proxy is the kind of service that takes requests to other HTTP servers, its upstreams. What is deployed is a [Document]: the
// upstreams, and how requests and answers are changed on the way.
//
// The work is done by httputil.ReverseProxy, one for each request, between two halves that are this package's: an exchange is the
// RoundTripper that chooses an upstream, and another one where that is safe (RFC 9110, section 9.2.2); and it is the ResponseWriter that
// notices who has ended the request, and why. A request ends with its client, with the deployment, or when no answer has begun in time;
// each has an answer of its own in one table (exchange.failure).
//
// Bounded are: the request's body, the time until the answer's header, each piece of the answer by the client's patience
// (services/internal/client), the idle connections to each upstream, and by admission how many requests there are.
//
// # Concurrency
//
// balancer.mu guards what is known of the upstreams; requestBody.mu the state of a body, which the transport reads on a goroutine of its
// own; patience.mu the wait for an answer, which parts of the body prolong. None is held while another lock is taken, nor while anything waits. The timers and watches of an exchange end with it.
package proxy
