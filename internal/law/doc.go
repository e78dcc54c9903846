// Package law contains tests of the rules for this source tree: the allowed imports and the
// conventions that hold everywhere. It has no code of its own. CONTRIBUTING.md describes the rules.
package law
