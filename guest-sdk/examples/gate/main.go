// Command gate is a middleware of http-wasm: it stands in front of a service, lets those in who have a key, tells the service who they are,
// and notes in the answer how it came about. It runs in other hosts of http-wasm as well.
//
// The keys are its configuration, a JSON object of names by key: {"KEY": "NAME"}.
package main

import (
	"encoding/json"

	guest "github.com/vespo-dev/vespo/guest-sdk"
)

func init() {
	guest.BufferResponse() // or the header of the answer could not be changed any more
	guest.Handle(enter)
	guest.HandleResponse(leave)
}

// user is who the request at hand comes from: leave is called in the instance in which enter was.
var user string

func enter(w *guest.Response, r *guest.Request) {
	users := map[string]string{}
	if err := json.Unmarshal(guest.Config(), &users); err != nil {
		guest.Log(guest.LevelError, "the configuration is no object of names by key: "+err.Error())
	}
	if user = users[r.Header.Get("X-Key")]; user == "" {
		w.Text(401, "a key is needed\n")
		return
	}
	r.Header.Del("X-Key")
	r.Header.Set("X-User", user)
	r.Pass()
}

func leave(w *guest.Response, _ *guest.Request, failed bool) {
	if failed {
		w.Text(502, "the service has failed\n")
		return
	}
	w.Header.Set("X-Served-For", user)
}

func main() {}
