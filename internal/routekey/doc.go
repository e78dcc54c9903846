// Package routekey defines the keys of services: a path prefix, and optionally the beginning of a header's value. It
// parses them, says what is wrong with them, and orders them. The catalogue stores keys and the router looks them up;
// every edge that receives one as text parses it once.
package routekey
