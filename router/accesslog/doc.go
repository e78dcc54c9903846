// Package accesslog defines the access record of a request and the listeners that log
// it. The names of the structured fields are stable.
package accesslog
