// Package patience ends requests of a client to which the server gives no sign of life.
package patience
