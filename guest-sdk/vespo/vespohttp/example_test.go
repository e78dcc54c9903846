package vespohttp_test

import (
	"fmt"
	"io"
	"net/http"

	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
	"github.com/vespo-dev/vespo/guest-sdk/nethttp"
	"github.com/vespo-dev/vespo/guest-sdk/vespo/vespohttp"
)

// The routes do not contain the prefix, so the service can be mounted under any prefix. A program registers the handler
// in an init function with nethttp.Serve(vespohttp.StripPrefix(mux)).
func ExampleStripPrefix() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "item", r.PathValue("id"))
	})
	handler := nethttp.Handler(vespohttp.StripPrefix(mux))

	answer := guesttest.ServeWith(handler, &guesttest.Request{Prefix: "/shop", URI: "/shop/items/7"})
	fmt.Print(answer.Status, " ", answer.Body)
	// Output: 200 item 7
}

func ExampleTransport() {
	client := http.Client{Transport: vespohttp.Transport{}}
	handler := nethttp.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response, err := client.Get("https://api.example.com/items")
		if err != nil {
			http.Error(w, "the API is unavailable", http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		w.WriteHeader(response.StatusCode)
		io.Copy(w, response.Body)
	}))
	answer := guesttest.ServeWith(handler, &guesttest.Request{
		Outbound: func(r *guesttest.OutboundRequest) (*guesttest.OutboundAnswer, error) {
			return &guesttest.OutboundAnswer{Body: "honey, wax"}, nil
		},
	})
	fmt.Println(answer.Status, answer.Body)
	// Output: 200 honey, wax
}
