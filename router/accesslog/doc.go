// Package accesslog holds the one record that is kept of each request and the listener that writes it as a structured
// log line, whose field names are a public promise.
package accesslog
