// Package http2 tests the HTTP/2 of the public listener with h2spec.
package http2
