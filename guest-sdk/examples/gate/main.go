// Command gate is an http-wasm middleware in front of a service. It requires a key in each request, adds the user's name
// to the request and adds a header to the response. It runs in all http-wasm hosts.
//
// Its configuration is a JSON object with the name of the user for each key: {"KEY": "NAME"}.
package main

import (
	"encoding/json"

	guest "github.com/vespo-dev/vespo/guest-sdk"
)

func init() {
	guest.BufferResponse() // required to change the header of the response
	guest.Handle(enter)
	guest.HandleResponse(leave)
}

// user is the user of the current request. It is set by enter and read by leave, which run in the same instance.
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
