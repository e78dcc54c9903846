// Package plan decides the outcome of changes of the catalogue. [Make] maps a [Base] and a list of changes to
// the next state, with the services that differ, or to all violations.
//
// The package is pure: it prepares, stores and publishes nothing, and it reads no clock. It has no locks and
// starts no goroutine. services/control/deploy carries a [Plan] out.
//
// The changes of a list concern different services, so that each is decided on the base alone. A list has the
// effect of its changes one after the other. Any other order differs only in the generations.
package plan
