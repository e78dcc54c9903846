// Package method knows the properties of HTTP methods.
package method

import "net/http"

// Idempotent reports whether a request with this method may be repeated (RFC 9110, section 9.2.2).
func Idempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return false
}
