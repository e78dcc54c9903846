// Command fetch forwards each request to the service that its setting "upstream" names, and the answer back, both streaming.
//
// It is only allowed to if the server grants that upstream to this service.
package main

import (
	"errors"
	"io"
	"slices"

	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/vespo"
)

func init() { guest.Handle(forward) }

// ownHeaders concern one connection, or are set anew, and are not forwarded.
var ownHeaders = []string{
	"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-connection", "host", "content-length",
}

func forward(w *guest.Response, r *guest.Request) {
	upstream, ok := vespo.Config("upstream")
	if !ok {
		w.Text(503, "this service needs the setting \"upstream\", such as https://example.com\n")
		return
	}
	call := &vespo.Call{Method: r.Method(), URI: upstream + vespo.Rest(), Body: r}
	if query := r.Query(); query != "" {
		call.URI += "?" + query
	}
	copyHeader(r.Header.Names(), r.Header.Values, func(name, value string) {
		call.Header = append(call.Header, [2]string{name, value})
	})
	answer, err := vespo.Fetch(call)
	if err != nil {
		guest.Log(guest.LevelError, err.Error())
		w.Text(status(err), "the upstream service does not answer\n")
		return
	}
	defer answer.Close()
	w.SetStatus(answer.Status)
	copyHeader(answer.Names(), answer.Values, w.Header.Add)
	if _, err := io.Copy(w, answer); err != nil {
		panic(err) // a part is sent: cut the connection, so that the client notices
	}
}

func copyHeader(names []string, values func(string) []string, add func(name, value string)) {
	for _, name := range names {
		if slices.Contains(ownHeaders, name) {
			continue
		}
		for _, value := range values(name) {
			add(name, value)
		}
	}
}

func status(err error) int {
	switch {
	case errors.Is(err, vespo.ErrDenied):
		return 403
	case errors.Is(err, vespo.ErrDeadline):
		return 504
	}
	return 502
}

func main() {}
