// Command dial makes requests without the SDK's transport, for tests of the error that it gets.
package main

import (
	"fmt"
	"net"
	"net/http"

	"github.com/vespo-dev/vespo/guest-sdk/nethttp"
)

func init() {
	nethttp.Serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		own := http.DefaultTransport.(*http.Transport).Clone()
		for _, c := range []*http.Client{http.DefaultClient, {Transport: own}, {Transport: &http.Transport{}}} {
			_, err := c.Get("http://example.com/")
			fmt.Fprintln(w, "name:", err)
		}
		_, err := http.Get("http://127.0.0.1:1/")
		fmt.Fprintln(w, "address:", err)
		_, err = net.LookupHost("example.com")
		fmt.Fprintln(w, "look-up:", err)
	}))
}

func main() {}
