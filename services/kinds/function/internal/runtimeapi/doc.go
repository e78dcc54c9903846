// Package runtimeapi implements the Lambda Runtime API, version 2018-06-01
// (docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html), for one
// function. Workers request events over HTTP and post the results.
//
// An [Endpoint] connects callers and workers. An invocation is queued until a worker requests
// it. That worker then holds it until it posts a result or the deadline passes. Each
// invocation is answered once: a second result is refused with 403, an id that no worker holds
// with 400. Ids are 122 random bits and known only to the worker that holds the invocation.
//
// # Death of a worker
//
// A worker is identified by its connection. If it closes the connection on which it took an invocation,
// and posts no result on another one within a second, it is considered dead, and the invocation fails. There are three exceptions:
//
//   - Clients that do not keep connections, such as curl or those
//     that send "Connection: close". Their death is not detected.
//   - Workers that run several loops at a time (AWS_LAMBDA_MAX_CONCURRENCY), whose loops
//     share connections. Their invocations fail when the endpoint has had no connection
//     for a second. Input.Loops announces such workers. They are also detected when a
//     result arrives on another connection than the one on which the event was sent.
//   - Connections unused for a minute. Any client may close them.
//
// In all of these cases the deadline still applies.
//
// # Concurrency
//
// Endpoint.mu guards the queue, the waiting workers and the invocations that
// workers hold. It is taken with no other lock held, and never held while blocking.
// All goroutines belong to the HTTP server. Close ends it and waits for them.
package runtimeapi
