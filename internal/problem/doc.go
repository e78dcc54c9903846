// Package problem implements problem details (RFC 9457), the form of all error responses, and pages for browsers in their place. They are
// built from a table of kinds with stable types and never contain internal errors of the host.
package problem
