package vespo_test

import (
	"errors"
	"fmt"
	"io"
	"strings"

	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
	"github.com/vespo-dev/vespo/guest-sdk/vespo"
)

// Read secrets in the handler, so that they are not stored in the snapshot.
func ExampleConfig() {
	handler := func(w *guest.Response, r *guest.Request) {
		key, ok := vespo.Config("api-key")
		if !ok {
			w.Text(503, "the setting \"api-key\" is missing\n")
			return
		}
		fmt.Fprintln(w, "the key has", len(key), "bytes")
	}
	answer := guesttest.ServeWith(handler, &guesttest.Request{})
	fmt.Print(answer.Status, " ", answer.Body)

	answer = guesttest.ServeWith(handler, &guesttest.Request{Settings: map[string]string{"api-key": "secret"}})
	fmt.Print(answer.Status, " ", answer.Body)
	// Output:
	// 503 the setting "api-key" is missing
	// 200 the key has 6 bytes
}

// Use the prefix for links to other pages of the service.
func ExamplePrefix() {
	handler := func(w *guest.Response, r *guest.Request) {
		fmt.Fprintln(w, strings.TrimSuffix(vespo.Prefix(), "/")+"/items")
	}
	for _, prefix := range []string{"/shop", "/"} {
		fmt.Print(guesttest.ServeWith(handler, &guesttest.Request{Prefix: prefix, URI: prefix}).Body)
	}
	// Output:
	// /shop/items
	// /items
}

func ExampleRest() {
	handler := func(w *guest.Response, r *guest.Request) {
		w.WriteString(vespo.Rest())
	}
	answer := guesttest.ServeWith(handler, &guesttest.Request{Prefix: "/shop", URI: "/shop/items/1?colour=red"})
	fmt.Println(answer.Body)
	// Output: /items/1
}

// In tests, the Outbound function of the request responds to Fetch.
func ExampleFetch() {
	handler := func(w *guest.Response, r *guest.Request) {
		answer, err := vespo.Fetch(&vespo.Call{
			URI:    "https://api.example.com/items",
			Header: [][2]string{{"accept", "application/json"}},
		})
		if err != nil {
			guest.Log(guest.LevelError, err.Error())
			w.Text(502, "the API is unavailable\n")
			return
		}
		defer answer.Close()
		w.SetStatus(answer.Status)
		w.Header.Set("content-type", answer.Get("content-type"))
		if _, err := io.Copy(w, answer); err != nil {
			panic(err) // part of the body may be sent: close the connection
		}
	}
	answer := guesttest.ServeWith(handler, &guesttest.Request{
		Outbound: func(r *guesttest.OutboundRequest) (*guesttest.OutboundAnswer, error) {
			fmt.Println(r.Method, r.URI, r.Header["accept"])
			return &guesttest.OutboundAnswer{
				Header: map[string][]string{"Content-Type": {"application/json"}},
				Body:   `["honey","wax"]`,
			}, nil
		},
	})
	fmt.Println(answer.Status, answer.Header["content-type"], answer.Body)
	// Output:
	// GET https://api.example.com/items [application/json]
	// 200 [application/json] ["honey","wax"]
}

// The body of a request can be passed on while it arrives.
func ExampleFetch_body() {
	handler := func(w *guest.Response, r *guest.Request) {
		answer, err := vespo.Fetch(&vespo.Call{Method: "POST", URI: "https://api.example.com/items", Body: r})
		if err != nil {
			w.Text(502, "the API is unavailable\n")
			return
		}
		defer answer.Close()
		w.SetStatus(answer.Status)
	}
	answer := guesttest.ServeWith(handler, &guesttest.Request{
		Method: "POST",
		Body:   strings.NewReader("pollen"),
		Outbound: func(r *guesttest.OutboundRequest) (*guesttest.OutboundAnswer, error) {
			fmt.Println("the API received", r.Body)
			return &guesttest.OutboundAnswer{Status: 201}, nil
		},
	})
	fmt.Println(answer.Status)
	// Output:
	// the API received pollen
	// 201
}

// Use errors.Is to test for the reason of a failure.
func ExampleCode() {
	handler := func(w *guest.Response, r *guest.Request) {
		answer, err := vespo.Fetch(&vespo.Call{URI: "https://api.example.com/items"})
		switch {
		case errors.Is(err, vespo.ErrDenied):
			w.Text(403, err.Error()+"\n")
			return
		case errors.Is(err, vespo.ErrDeadline):
			w.Text(504, err.Error()+"\n")
			return
		case err != nil:
			w.Text(502, err.Error()+"\n")
			return
		}
		defer answer.Close()
	}
	answer := guesttest.ServeWith(handler, &guesttest.Request{}) // without Outbound, calls are denied
	fmt.Print(answer.Status, " ", answer.Body)
	// Output: 403 vespo: fetch https://api.example.com/items: this service is not allowed to call this host
}
