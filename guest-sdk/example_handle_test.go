package guest_test

import (
	"fmt"

	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
)

// init runs once, before the snapshot. It prepares the data that all requests share and registers the handler.
func init() {
	greetings = map[string]string{"en": "hello", "fr": "bonjour"}
	guest.Handle(greet)
}

var greetings map[string]string

func greet(w *guest.Response, r *guest.Request) {
	greeting, ok := greetings[r.Query()]
	if !ok {
		w.Text(404, "unknown language\n")
		return
	}
	w.Header.Set("content-type", "text/plain; charset=utf-8")
	w.WriteString(greeting + " from " + r.Path() + "\n")
}

// A program registers its handler in an init function. Tests call the registered handler with guesttest.Serve.
func ExampleHandle() {
	answer := guesttest.Serve(&guesttest.Request{URI: "/world?fr"})
	fmt.Print(answer.Status, " ", answer.Body)

	answer = guesttest.Serve(&guesttest.Request{URI: "/world?de"})
	fmt.Print(answer.Status, " ", answer.Body)
	// Output:
	// 200 bonjour from /world
	// 404 unknown language
}
