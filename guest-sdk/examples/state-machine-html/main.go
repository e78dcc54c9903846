// Command state-machine-html is a form of several steps that reports a wasps' nest. The guest's memory does not survive a
// request, so the page contains the state: a hidden field of each form holds the signed inputs of the earlier steps.
//
// The setting "key" is the signing key.
package main

import (
	"bytes"
	_ "embed" // for page
	"errors"
	"html/template"
	"net/http"
	"time"

	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/nethttp"
	"github.com/vespo-dev/vespo/guest-sdk/vespo"
	"github.com/vespo-dev/vespo/guest-sdk/vespo/vespohttp"
)

//go:embed page.html
var page string

var pages = template.Must(template.New("page").Parse(page))

const (
	maxFormBytes = 16 << 10
	minKeyBytes  = 16
)

func init() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", begin)
	mux.HandleFunc("POST /{$}", proceed)
	nethttp.Serve(vespohttp.StripPrefix(mux))
}

// begin responds with the first page.
func begin(w http.ResponseWriter, _ *http.Request) { show(w, http.StatusOK, newReport(time.Now()), "") }

// proceed processes a form. It responds with the next page, or with the same page and a problem.
func proceed(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "this form cannot be read", http.StatusBadRequest)
		return
	}
	key, ok := signingKey(w)
	if !ok {
		return
	}
	at, err := unseal(key, r.PostForm.Get("state"), time.Now())
	if errors.Is(err, errExpired) {
		show(w, http.StatusOK, newReport(time.Now()), "The form has waited for too long. Please begin again.")
		return
	} else if err != nil {
		http.Error(w, "this form is not from here: begin again with a GET", http.StatusBadRequest)
		return
	}
	next, problem := at.after(r.PostForm.Get("action"), r.PostForm.Get("answer"))
	status := http.StatusOK
	if problem != "" {
		status = http.StatusUnprocessableEntity
	}
	show(w, status, next, problem)
}

// show writes the page for a state.
func show(w http.ResponseWriter, status int, at report, problem string) {
	key, ok := signingKey(w)
	if !ok {
		return
	}
	var b bytes.Buffer
	err := pages.Execute(&b, map[string]any{"State": seal(key, at), "Report": at, "Places": places, "Problem": problem})
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	b.WriteTo(w)
}

// signingKey reads the key. It is called in each request, so that the key is not stored in the snapshot. If the key is
// missing or too short, signingKey responds with status 503 and returns false.
func signingKey(w http.ResponseWriter) (key []byte, ok bool) {
	secret, _ := vespo.Config("key")
	if len(secret) < minKeyBytes {
		guest.Log(guest.LevelError, "the setting \"key\" is missing, or shorter than 16 bytes")
		http.Error(w, "this service needs the setting \"key\": 16 random bytes or more", http.StatusServiceUnavailable)
		return nil, false
	}
	return []byte(secret), true
}

func main() {}
