// Package components compares answers of components in Rust and JavaScript on Vespo with those of the same components on
// jco's server. A component of jco's QuickJS backend is served by Vespo alone: its program consists of dynamic libraries.
package components
