package nethttp_test

import (
	"fmt"
	"net/http"

	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
	"github.com/vespo-dev/vespo/guest-sdk/nethttp"
)

func init() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello/{name}", hello)
	nethttp.Serve(mux)
}

func hello(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "hello, %s\n", r.PathValue("name"))
}

// A program registers its net/http handler in an init function. Tests call it with guesttest.Serve.
func ExampleServe() {
	answer := guesttest.Serve(&guesttest.Request{URI: "/hello/ada"})
	fmt.Print(answer.Status, " ", answer.Body)

	answer = guesttest.Serve(&guesttest.Request{Method: "POST", URI: "/hello/ada"})
	fmt.Print(answer.Status, " ", answer.Body)
	// Output:
	// 200 hello, ada
	// 405 Method Not Allowed
}
