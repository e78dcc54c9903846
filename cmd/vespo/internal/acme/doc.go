// Package acme obtains and renews certificates by ACME (RFC 8555), with certmagic.
//
// An authority checks that a domain leads to this server by a challenge: over TLS on the public listener
// (TLS-ALPN-01), or over HTTP on the listener for redirects (HTTP-01). Certificates and the account's key are files
// in a directory. Serving does not depend on the authority: a certificate that cannot be renewed is used until it is,
// and attempts are repeated with growing delays.
//
// # Concurrency
//
// certmagic has its own goroutines, from Open until Close, and from Run until its context ends.
package acme
