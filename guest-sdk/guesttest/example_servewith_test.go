package guesttest_test

import (
	"fmt"
	"strings"

	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
	"github.com/vespo-dev/vespo/guest-sdk/vespo"
)

// ServeWith calls a handler that is not registered.
func ExampleServeWith() {
	handler := func(w *guest.Response, r *guest.Request) {
		w.Text(200, r.Method()+" from "+r.Header.Get("User-Agent"))
	}
	answer := guesttest.ServeWith(handler, &guesttest.Request{
		Method: "POST",
		Header: map[string][]string{"User-Agent": {"test"}},
		Body:   strings.NewReader("a body"),
	})
	fmt.Println(answer.Body)
	// Output: POST from test
}

// Ended reports that the handler panicked. The message and the stack are in Log.
func ExampleAnswer() {
	handler := func(w *guest.Response, r *guest.Request) {
		panic("no stock")
	}
	answer := guesttest.ServeWith(handler, &guesttest.Request{})
	message, _, _ := strings.Cut(answer.Log[0].Text, "\n")
	fmt.Println(answer.Ended, answer.Status, message)
	// Output: true 500 panic: no stock
}

// Settings, Prefix and Outbound provide the features of package vespo. Outbound may fail with a vespo.Code.
func ExampleRequest_outbound() {
	handler := func(w *guest.Response, r *guest.Request) {
		upstream, _ := vespo.Config("upstream")
		answer, err := vespo.Fetch(&vespo.Call{URI: upstream + vespo.Rest()})
		if err != nil {
			w.Text(504, err.Error())
			return
		}
		defer answer.Close()
		w.SetStatus(answer.Status)
	}
	answer := guesttest.ServeWith(handler, &guesttest.Request{
		URI:      "/proxy/items",
		Prefix:   "/proxy",
		Settings: map[string]string{"upstream": "https://api.example.com"},
		Outbound: func(r *guesttest.OutboundRequest) (*guesttest.OutboundAnswer, error) {
			return nil, vespo.ErrDeadline
		},
	})
	fmt.Println(answer.Status, answer.Body)
	// Output: 504 vespo: fetch https://api.example.com/items: out of time
}

// Behind is the response of the service behind a middleware. If its Ended is true, the service failed.
func ExampleRequest_behind() {
	middleware := func(w *guest.Response, r *guest.Request) {
		r.SetURI("/v2" + r.URI())
		r.Pass()
	}
	request := &guesttest.Request{URI: "/items", Behind: &guesttest.Answer{Body: "from the service"}}
	answer := guesttest.ServeWith(middleware, request)
	fmt.Println(answer.Passed, request.URI, answer.Body)
	// Output: true /v2/items from the service
}
