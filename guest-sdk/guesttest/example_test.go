package guesttest_test

import (
	"fmt"

	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
)

// In a guest, this function is in main.go.
func init() { guest.Handle(handle) }

func handle(w *guest.Response, r *guest.Request) {
	w.Header.Set("content-type", "text/plain; charset=utf-8")
	w.WriteString("hello from " + r.Path() + "\n")
}

// Serve calls the handler that the guest registered in an init function.
func ExampleServe() {
	answer := guesttest.Serve(&guesttest.Request{URI: "/world"})
	fmt.Print(answer.Status, " ", answer.Body)
	// Output: 200 hello from /world
}
