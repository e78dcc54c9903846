package client

import "net/http"

// Inviting returns a writer for a client that sends a body after "100 Continue" alone, and none after an answer, as transports of
// net/http do. The answer may begin while the handler has still to read the body, so "100 Continue" is sent first, also if the
// body was read. A refusal (status 400 or above) is sent without.
func Inviting(w http.ResponseWriter) http.ResponseWriter {
	return AtHeader(w, func(status int) {
		if status < http.StatusBadRequest {
			w.WriteHeader(http.StatusContinue)
		}
	})
}

// Final passes no "100 Continue" of another server on: the own server sends it when the body is read, if the client waits for it.
// With both, a client would get two.
type Final struct{ *Writer }

// WriteHeader implements http.ResponseWriter.
func (w Final) WriteHeader(status int) {
	if status != http.StatusContinue {
		w.Writer.WriteHeader(status)
	}
}
