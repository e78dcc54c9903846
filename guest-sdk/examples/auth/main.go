// Command auth shows a net/http middleware in a guest. It authenticates requests by a token and passes the user to the
// wrapped handlers in the request's context.
//
//	GET /          needs no token
//	GET /whoami    returns the user of the token
//	GET /admin     allows the user "admin" only
//
// A token has the form USER:SECRET and is sent as "Authorization: Bearer USER:SECRET". The secrets are settings of the
// service, one for each user: --config token.alice=SECRET.
package main

import (
	"fmt"
	"net/http"

	"github.com/vespo-dev/vespo/guest-sdk/nethttp"
	"github.com/vespo-dev/vespo/guest-sdk/vespo"
	"github.com/vespo-dev/vespo/guest-sdk/vespo/vespohttp"
)

func init() { nethttp.Serve(vespohttp.StripPrefix(routes(secretOf))) }

// secretOf reads the secret of a user. It is called in each request, because a secret that is read during initialisation
// would be stored in the snapshot.
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
