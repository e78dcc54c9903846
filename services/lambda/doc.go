// Package lambda answers the Invoke API of AWS Lambda, so that clients made with Amazon's SDKs can invoke the services of this server.
//
//	POST /2015-03-31/functions/{function}/invocations                           RequestResponse, Event, DryRun
//	POST /2021-11-15/functions/{function}/response-streaming-invocations        the output as an event stream
//	POST /2014-11-13/functions/{function}/invoke-async                          the forerunner of Event
//
// A service that is a function gets the event as it is. One of another kind gets the HTTP request that the event, in the payload format 2.0,
// stands for, and its answer becomes the output, in the same format. Both go through the router: admission, limits and the access record are
// those of any request.
//
// The operations on functions, with versions and aliases, are mapped to the catalogue of services (manage.go). What it has no place for is kept in
// a file, the book.
//
// # Who may invoke
//
// Changes need Config.Manage. With Config.Keys, whoever signs with one of them (package sigv4). Without, processes of this machine, as for management.
//
// # Events
//
// An invocation of the type Event is acknowledged when it is queued. The queue is in memory, bounded in number and in bytes. What fails is
// tried again, Config.Retries says when; what has failed in the end, or was still queued at the end of the server, is written to
// Config.DeadLetters.
//
// # Concurrency
//
// A Handler has no lock of its own; those of its parts are never taken one within the other. [Handler.Run] owns the goroutines that carry out queued events, and waits for them.
package lambda
