// Package hello greets whoever the path names.
package hello

import (
	"fmt"
	"net/http"
)

// New returns a mux with a pattern, as most services in Go have one.
func New() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /mux/hello/{name}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = fmt.Fprintf(w, "hello %s\n", r.PathValue("name")) // the server handles write errors
	})
	return mux
}
