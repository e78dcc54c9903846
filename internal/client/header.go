package client

import "net/http"

// AtHeader returns a writer that calls first with the status of the final response, before the header is sent.
func AtHeader(w http.ResponseWriter, first func(status int)) http.ResponseWriter {
	return &atHeader{ResponseWriter: w, first: first}
}

type atHeader struct {
	http.ResponseWriter
	first func(status int) // nil once it was called
}

// WriteHeader implements http.ResponseWriter.
func (w *atHeader) WriteHeader(status int) {
	if first := w.first; first != nil && status >= http.StatusOK {
		w.first = nil
		first(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *atHeader) Write(p []byte) (int, error) {
	if w.first != nil {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

// FlushError is for http.ResponseController.
func (w *atHeader) FlushError() error {
	if w.first != nil {
		w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (w *atHeader) Unwrap() http.ResponseWriter { return w.ResponseWriter }
