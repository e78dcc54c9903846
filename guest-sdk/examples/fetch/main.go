// Command fetch is a reverse proxy. It forwards each request to the upstream in the setting "upstream" and streams both
// bodies.
//
// The service needs permission to call the upstream (vespo add --allow).
package main

import (
	"errors"
	"io"
	"slices"
	"strings"

	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/vespo"
)

func init() { guest.Handle(forward) }

// ownHeaders lists the headers that are not forwarded. They apply to one connection or are set for the outbound request.
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
	for _, name := range r.Header.Names() {
		if slices.Contains(ownHeaders, name) {
			continue
		}
		for _, value := range r.Header.Values(name) {
			call.Header = append(call.Header, [2]string{name, value})
		}
	}
	answer, err := vespo.Fetch(call)
	if err != nil {
		guest.Log(guest.LevelError, err.Error())
		w.Text(status(err), "the upstream service does not answer\n")
		return
	}
	defer answer.Close()
	w.SetStatus(answer.Status)
	for _, field := range answer.Fields() {
		if name, value := field[0], field[1]; !slices.Contains(ownHeaders, strings.ToLower(name)) {
			w.Header.Add(name, value)
		}
	}
	if _, err := io.Copy(w, answer); err != nil {
		panic(err) // part of the body is sent: close the connection, so that the client detects the failure
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
