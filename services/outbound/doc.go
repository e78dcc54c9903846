// Package outbound makes HTTP requests for guests: only to what their service was granted, within limits, and streaming both
// ways.
//
// A service is granted origins, "https://api.example.com" or "http://localhost:9000", other services, by the name
// "http://NAME.vespo.internal", and blocks of addresses, "10.1.0.0/16". A request is checked twice: the origin must have been
// granted, and the address that its name resolves to must be public, or granted by itself: as a block, as the literal address of
// a granted origin, or as loopback for a granted localhost (package egress). Redirects are not followed: the guest sees
// them, and a request to where they point is checked like any other.
//
// Requests to other services do not leave the process: they go to the router, with a depth that is bounded.
package outbound
