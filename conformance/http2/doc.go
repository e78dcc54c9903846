// Package http2 tests HTTP/2 on the public listener with h2spec.
package http2
