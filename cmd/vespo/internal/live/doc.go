// Package live is what browsers see of a project under development: a page while the first build runs, a page with
// the errors of a failed build, a script that reloads open pages when another version serves, and a page with the
// last requests and log lines.
//
// A [Live] is middleware in front of the server's handler. It owns the paths below [Root]; all others are the
// service's. A [Board] has the state of the builds, a [Feed] the requests and log lines. Both have one lock, which is
// held briefly, and neither is held while the other is taken.
package live
