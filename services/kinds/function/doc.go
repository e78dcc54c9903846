// Package function is the kind of functions. A request to the prefix becomes an event. A
// worker that speaks the Lambda Runtime API processes it, and its output becomes the response.
//
// Workers are processes outside of the server. They connect to an address that belongs
// to one function, because clients of the Runtime API are configured with an address
// only. The endpoint belongs to the prefix, not to a version: workers stay connected
// when the function is replaced, and serve both versions until the old one has drained.
//
// Alternatively the server starts the workers itself, from a program: as many as are needed and
// allowed, none while the function is idle. Programs are started only for services in the server's
// own configuration, unless Config.AllowExec is set. They run with the server's privileges.
//
// # Concurrency
//
// Kind.mu guards the endpoints by prefix. No other lock is taken while it is held. A
// deployment holds one use of its endpoint from Prepare to Close. processes.mu guards
// the processes of a deployment. The locks of endpoints may be taken while it is held,
// but not the other way round. Each process has one goroutine, and close waits for it.
package function
