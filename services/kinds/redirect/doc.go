// Package redirect is the kind of services that send clients to another URL, with a status of 307 or 308, so that the
// client repeats the method and the body (RFC 9110, sections 15.4.8 and 15.4.9).
//
// A redirect never leads to a host that its owner has not named, for any path of a request. It holds nothing:
// there is no lock and no goroutine.
package redirect
