// Package function is the kind of service that is a function: an HTTP request to its prefix becomes an event, a worker that speaks the
// Lambda Runtime API takes the event, and what it returns becomes the answer.
//
// Workers are processes beside the server. They reach it at an address of the function's own, because clients of the Runtime API take
// nothing but an address. That endpoint belongs to the prefix, not to a version: workers stay connected when the function is replaced, and serve
// both versions until the old one has drained.
//
// Or the server starts the workers itself, from a program: as many as are needed and allowed, none while the function is idle. Programs are
// started only for the server's own configuration, unless Config.AllowExec. They run with the server's rights.
//
// # Concurrency
//
// Kind.mu guards the endpoints by prefix; no other lock is taken with it held. A deployment holds one use of its endpoint from Prepare to Close.
// processes.mu guards the processes of a deployment; the endpoints' locks may be taken with it held, not the other way round. Each process has one
// goroutine, which close waits for.
package function
