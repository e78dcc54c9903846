// Package lambda implements the Invoke API of AWS Lambda, so that
// clients built with Amazon's SDKs can invoke services of this server.
//
//	POST /2015-03-31/functions/{function}/invocations                           RequestResponse, Event, DryRun
//	POST /2021-11-15/functions/{function}/response-streaming-invocations        the output as an event stream
//	POST /2014-11-13/functions/{function}/invoke-async                          the predecessor of Event
//
// A function service receives the event unchanged. For any other service, the event must
// be an HTTP event in payload format 2.0. The service receives the HTTP request it
// describes, and its response is returned as the output in the same format. Both go
// through the router, so admission, limits and the access record apply as to any request.
//
// Function management, including versions and aliases, maps to the catalogue of services
// (manage.go). State that a service has no field for is in records of the same catalogue.
// Each change is one transaction over both (change.go).
//
// # Authorization
//
// With Config.Keys, a request must be signed with one of them (package sigv4).
// Without keys, only processes of this machine are accepted, as for the
// management API. Operations that change functions also need Config.Manage.
//
// # Events
//
// An invocation of type Event is acknowledged once it is in Config.Events. [Handler.Run] leases events, and renews the lease
// during an attempt. Failed events are retried after the delays in Config.Retries, and then written to Config.DeadLetters.
// Events that are in progress at the end of Run and do not succeed are given back: they run at the next start, or on
// another host.
//
// # Concurrency
//
// A Handler has no lock of its own. The locks of its parts are never nested.
// [Handler.Run] owns the goroutines that process events, and waits for them.
package lambda
