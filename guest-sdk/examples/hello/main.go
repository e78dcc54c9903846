// Command hello is the smallest guest. It responds with a greeting and the path of the request.
package main

import (
	guest "github.com/vespo-dev/vespo/guest-sdk"
)

func init() { guest.Handle(hello) }

func hello(w *guest.Response, r *guest.Request) {
	w.Header.Set("content-type", "text/plain; charset=utf-8")
	w.WriteString("hello from " + r.Path() + "\n")
}

// main is never called in a module built with -buildmode=c-shared.
func main() {}
