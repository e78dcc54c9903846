// Package components compares answers of components on Vespo with those of the same components on jco's server.
package components
