// Package outbound makes HTTP requests for guests, streaming in both directions. Requests
// go only to destinations granted to the service, and are limited in number and size.
//
// A grant is an origin ("https://api.example.com" or "http://localhost:9000"), another
// service ("http://NAME.vespo.internal"), or a block of addresses ("10.1.0.0/16"). Each
// request is checked twice. Its origin must be granted, and the address that the name
// resolves to must be public or granted itself: by a block, as the literal address of a
// granted origin, or as loopback for a granted localhost (package egress). Redirects are not
// followed. Guests receive them, and a request to the new location is checked like any other.
//
// Requests to other services do not leave the process. They go to the router, with a limited nesting depth.
package outbound
