// Package servicetest runs kinds of services for tests, in a complete server: a catalogue in memory or on disk, the
// transaction, the router, and HTTP/1.1 and HTTP/2 over loopback connections. Only tests import it.
//
// [New] opens the catalogue and the router, which some kinds need. [Server.Start] takes the kinds and serves;
// [Server.Build] and [Server.Listen] are its two halves. The end of
// the test closes everything, in the order of a real server, and checks that no request is left in flight. The body of a
// TestMain is [Main], which checks that the tests of a package leave no goroutine and no descriptor behind.
//
// Tests build a [services.Spec] with [Spec], [Module] and the options of this package, and nowhere else.
package servicetest
