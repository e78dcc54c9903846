// Package echo sends the request's body back.
package echo

import (
	"io"
	"net/http"
	"strconv"
)

const limitBytes = 1 << 20

// Serve reads the whole body before it answers: net/http reads none after that.
func Serve(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength < 0 || r.ContentLength > limitBytes {
		http.Error(w, "the body has no length, or a large one", http.StatusRequestEntityTooLarge)
		return
	}
	body := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the server handles write errors
}
