// Command echo sends the request's body back as it arrives. A trailer contains the length of the body.
package main

import (
	"io"
	"strconv"

	guest "github.com/vespo-dev/vespo/guest-sdk"
)

func init() {
	guest.EnableTrailers()
	guest.Handle(echo)
}

func echo(w *guest.Response, r *guest.Request) {
	if contentType := r.Header.Get("content-type"); contentType != "" {
		w.Header.Set("content-type", contentType)
	}
	n, err := io.Copy(w, r)
	if err != nil {
		panic(err)
	}
	w.Trailer.Set("x-body-bytes", strconv.FormatInt(n, 10))
}

func main() {}
