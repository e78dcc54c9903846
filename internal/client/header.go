package client

import "net/http"

// AtHeader returns a writer that calls set with the header of the final response before that is sent.
func AtHeader(w http.ResponseWriter, set func(http.Header)) http.ResponseWriter {
	return &atHeader{ResponseWriter: w, set: set}
}

type atHeader struct {
	http.ResponseWriter
	set func(http.Header) // nil once it was called
}

// WriteHeader implements http.ResponseWriter.
func (w *atHeader) WriteHeader(status int) {
	if status >= http.StatusOK && w.set != nil {
		w.set(w.Header())
		w.set = nil
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *atHeader) Write(p []byte) (int, error) {
	if w.set != nil {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// FlushError is for http.ResponseController.
func (w *atHeader) FlushError() error {
	if w.set != nil {
		w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (w *atHeader) Unwrap() http.ResponseWriter { return w.ResponseWriter }
