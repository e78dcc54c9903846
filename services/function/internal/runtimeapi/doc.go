// Package runtimeapi is one function's end of the Lambda Runtime API, version 2018-06-01
// (docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html): workers ask for events over HTTP and post what became of them.
//
// An [Endpoint] brings those who invoke and the workers together. An invocation waits in a queue until a worker asks, is then held by
// that worker until it has posted an answer or the deadline is over, and is answered once: a second answer is refused with 403, and an
// id that no worker holds with 400. Ids are 122 random bits and told to nobody but the worker that holds the invocation.
//
// # Death of a worker
//
// A worker is known by its connection. One that closes the connection over which it has taken an invocation, without an answer, has died,
// and the invocation fails at once. That cannot be told of a worker that does not keep its connections: one made with curl, or one that
// says "Connection: close". Nor of one that runs several loops at a time (AWS_LAMBDA_MAX_CONCURRENCY), whose loops share connections: there
// an invocation fails when the endpoint has had no connection at all for a second. Input.Loops says that workers are of that sort; it
// is noticed too, when an answer comes over another connection than the event went out over. A connection that has been unused for a minute
// may be closed by any client. In the end, the deadline decides.
//
// # Concurrency
//
// Endpoint.mu guards the queue, the waiting workers and what is held. It is taken with no other lock held, and for moments only. Goroutines
// are those of the HTTP server; Close ends it and waits for them.
package runtimeapi
