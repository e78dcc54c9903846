// Package problem implements problem details (RFC 9457), the form of all error responses. They are
// built from a table of kinds with stable types and never contain internal errors of the host.
package problem
