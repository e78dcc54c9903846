// Package function is the kind of service that is a function: an HTTP request to its prefix becomes an event, a worker that speaks the
// Lambda Runtime API takes the event, and what it returns becomes the answer.
//
// Workers are processes beside the server. They reach it at an address of the function's own, because clients of the Runtime API take
// nothing but an address. That endpoint belongs to the prefix, not to a version: workers stay connected when the function is replaced, and serve
// both versions until the old one has drained.
//
// # Concurrency
//
// Kind.mu guards the endpoints by prefix; no other lock is taken with it held. A deployment holds one use of its endpoint from Prepare to Close.
package function
