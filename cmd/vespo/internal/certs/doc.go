// Package certs keeps the certificates of TLS listeners, and the authorities whose client certificates they accept.
// Both come from files, which are read again when they change.
//
// Tools that renew a certificate replace two files one after the other, or swap a symbolic link. A pair that cannot be
// read or does not match is ignored: the one before it stays in use.
//
// # Concurrency
//
// One goroutine calls Watch. Handshakes load the current certificates through atomic pointers.
package certs
