// Command events streams Server-Sent Events, one every 100 ms. The query parameter n is the number of events: 3 by
// default, at most 100.
package main

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/vespo-dev/vespo/guest-sdk/nethttp"
)

func init() { nethttp.Serve(http.HandlerFunc(stream)) }

func stream(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.FormValue("n"))
	if err != nil || n < 1 {
		n = 3
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	flusher := w.(http.Flusher)
	for i := range min(n, 100) {
		if i > 0 {
			time.Sleep(100 * time.Millisecond)
		}
		fmt.Fprintf(w, "id: %d\ndata: event %d\n\n", i+1, i+1)
		flusher.Flush()
	}
}

func main() {}
