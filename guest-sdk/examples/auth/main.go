// Command auth shows a middleware of net/http in a guest: it lets only those in who have a token, and tells the handlers behind
// it who that is.
//
//	GET /          for everybody
//	GET /whoami    who the token belongs to
//	GET /admin     for the user "admin" alone
//
// A token is USER:SECRET, sent as Authorization: Bearer USER:SECRET. The secrets are settings of the service, one for each user:
// --config token.alice=SECRET.
package main

import (
	"fmt"
	"net/http"

	"github.com/vespo-dev/vespo/guest-sdk/nethttp"
	"github.com/vespo-dev/vespo/guest-sdk/vespo"
	"github.com/vespo-dev/vespo/guest-sdk/vespo/vespohttp"
)

func init() { nethttp.Serve(vespohttp.StripPrefix(routes(secretOf))) }

// secretOf asks for a user's secret, at each request: what is asked for while the program starts would be part of the snapshot.
func secretOf(user string) (secret string, ok bool) { return vespo.Config("token." + user) }

func routes(secretOf secrets) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", index)
	mux.Handle("GET /whoami", authenticate(secretOf, http.HandlerFunc(whoami)))
	mux.Handle("GET /admin", authenticate(secretOf, authorize("admin", http.HandlerFunc(admin))))
	return mux
}

func index(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "try whoami, with a token") }

func whoami(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "you are "+userOf(r)) }

func admin(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "here is everything") }

func main() {}
