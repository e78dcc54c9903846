// Package outbound requests another server, and answers with the body of its response.
package outbound

import (
	"io"
	"net/http"
)

const limitBytes = 1 << 20

// Handler returns a handler of requests that name the upstream in their query: ?upstream=127.0.0.1:1234.
func Handler(client *http.Client) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		to, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://"+r.URL.Query().Get("upstream")+"/", nil)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer, err := client.Do(to)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(io.LimitReader(answer.Body, limitBytes))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write(body) // the server handles write errors
	})
}
