package nethttp_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
	"github.com/vespo-dev/vespo/guest-sdk/nethttp"
)

// Handler combines net/http handlers with code that uses package guest.
func ExampleHandler() {
	files := nethttp.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "file", r.URL.Path)
	}))
	handler := func(w *guest.Response, r *guest.Request) {
		if r.Path() == "/health" {
			w.Text(200, "ok\n")
			return
		}
		files(w, r)
	}
	for _, uri := range []string{"/health", "/index.html"} {
		fmt.Print(guesttest.ServeWith(handler, &guesttest.Request{URI: uri}).Body)
	}
	// Output:
	// ok
	// file /index.html
}

// Flush passes the bytes that were written before it to the host.
func ExampleHandler_flush() {
	handler := nethttp.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: event %d\n\n", i)
			w.(http.Flusher).Flush()
		}
	}))
	answer := guesttest.ServeWith(handler, &guesttest.Request{})
	fmt.Println(len(answer.Body), "bytes in", answer.Writes, "writes")
	// Output: 45 bytes in 3 writes
}

// Trailers are announced in the header Trailer and set after the body, as with a net/http server.
func ExampleHandler_trailers() {
	handler := nethttp.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Bytes")
		n, _ := io.Copy(w, r.Body)
		w.Header().Set("X-Bytes", fmt.Sprint(n))
	}))
	answer := guesttest.ServeWith(handler, &guesttest.Request{Method: "POST", Body: strings.NewReader("a body")})
	fmt.Println(answer.Body, answer.Trailer["x-bytes"])
	// Output: a body [6]
}
