package admin

import (
	"net/http"
	"strings"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/services/control/console"
	"github.com/vespo-dev/vespo/services/control/profiles"
)

// ownRoutes returns the endpoints of admin listeners alone: the console and profiles.
func (h *Handler) ownRoutes() map[string]endpoint {
	get := []string{http.MethodGet, http.MethodHead}
	pages := console.New()
	page := endpoint{methods: get, own: true, serve: pages.Serve}
	routes := map[string]endpoint{"/": {methods: get, own: true, serve: toConsole}}
	routes["/services/ui"] = routes["/"]
	for _, path := range console.Paths() {
		routes[path] = page
	}
	for _, path := range h.profiles.Paths() {
		routes[path] = endpoint{methods: get, own: true, long: true, serve: h.profiles.Serve}
	}
	return routes
}

func toConsole(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, console.Path, http.StatusFound)
	return nil
}

// ownNeeds returns what the paths of ownRoutes need. The files of the console are the same for all. A profile shows the
// requests of all services.
func ownNeeds() map[string]need {
	needs := map[string]need{"/": needNothing, "/services/ui": needNothing}
	for _, path := range console.Paths() {
		needs[path] = needNothing
	}
	for _, path := range profiles.New().Paths() {
		needs[path] = needAdmin
	}
	return needs
}

// checkPage returns a problem if a page on an admin listener without a token is asked for by the name of another machine.
func (h *Handler) checkPage(r *http.Request, e endpoint) error {
	if !e.own || h.cfg.Authority.HasAdmin() {
		return nil
	}
	return h.access.CheckHost(r)
}

// elsewhere answers a request for an endpoint of admin listeners that came over another one. Clients that may manage,
// and programs and users of this machine, are led to the console.
func (h *Handler) elsewhere(w http.ResponseWriter, r *router.Request) error {
	nothing := problem.New(problem.NotFound, "there is nothing at this path")
	if _, err := h.identify(r); err != nil && h.access.CheckLocal(r.Request) != nil {
		return nothing
	}
	url := ""
	if h.cfg.ConsoleURL != nil {
		url = h.cfg.ConsoleURL()
	}
	switch {
	case url == "":
		return problem.New(problem.NotFound, "this server has no listener for the console and for profiles: start it without --admin-listen=off")
	case !strings.HasPrefix(r.URL.Path, strings.TrimSuffix(console.Path, "/")):
		return problem.Newf(problem.NotFound, "this path is on another listener, which also serves the console, at %s", url)
	}
	http.Redirect(w, r.Request, url, http.StatusFound)
	return nil
}
