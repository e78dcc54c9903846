// Command notes is a small application: users register and sign in, write notes that expire, and sign out. A background
// job removes expired notes.
//
// Requests share no memory, so the state is elsewhere. The users and their notes are in a store, which the service calls
// over HTTP. The session is a signed cookie.
//
//	GET  /            shows the notes of the user who is signed in
//	GET  /login       shows the forms to sign in and to register
//	POST /login       checks the password and begins a session
//	POST /register    adds a user and begins a session
//	POST /logout      ends all sessions of the user
//	POST /add         adds a note
//	POST /delete      removes a note
//	POST /jobs/sweep  removes expired notes, for the holder of the job token
//
// The settings are key (signs the sessions), store (URL of the store), store-token and job-token.
package main

import (
	"errors"
	"strconv"

	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/vespo"
)

func init() { guest.Handle(handle) }

// routes maps a method and the path below the prefix to a handler. A handler returns an error only if the store failed.
var routes = map[string]func(*visit) error{
	"GET /":            (*visit).notes,
	"GET /login":       (*visit).forms,
	"POST /login":      (*visit).login,
	"POST /register":   (*visit).register,
	"POST /logout":     (*visit).logout,
	"POST /add":        (*visit).add,
	"POST /delete":     (*visit).remove,
	"POST /jobs/sweep": (*visit).sweep,
}

func handle(w *guest.Response, r *guest.Request) {
	setSecurityHeaders(w)
	v, missing := newVisit(w, r)
	if missing != "" {
		guest.Log(guest.LevelError, "the setting "+strconv.Quote(missing)+" is missing or too short")
		w.Text(503, "this service is not configured\n")
		return
	}
	method := r.Method()
	if method == "HEAD" {
		method = "GET"
	}
	route, found := routes[method+" "+vespo.Rest()]
	if !found {
		w.Text(404, "there is no such page\n")
		return
	}
	if method == "POST" {
		if crossSite(r.Header.Get("sec-fetch-site"), r.Header.Get("origin"), r.Header.Get("host")) {
			w.Text(403, "this form is on another site\n")
			return
		}
		if err := v.readForm(); err != nil {
			w.Text(400, err.Error()+"\n")
			return
		}
	}
	if err := route(v); err != nil {
		fail(w, err)
	}
}

func fail(w *guest.Response, err error) {
	if errors.Is(err, errConflict) {
		w.Header.Set("retry-after", "1")
		w.Text(503, "too many changes at once: try again\n")
		return
	}
	guest.Log(guest.LevelError, err.Error())
	w.Text(502, "the store does not answer\n")
}

func main() {}
