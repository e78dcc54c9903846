// Package problem is the one form in which a client is told that its request failed: problem details as of RFC 9457,
// built from a table of kinds, with a stable type and never a word of what went wrong inside the host.
package problem
