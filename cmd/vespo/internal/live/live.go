package live

import (
	"context"
	"html/template"
	"net/http"
	"strings"

	"github.com/vespo-dev/vespo/internal/page"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
)

// Root is the path of the page with the last requests. The paths below it are reserved.
const Root = "/__vespo/"

// Config is the configuration of a Live.
type Config struct {
	Name    string          // of the project
	Prefix  string          // path prefix of the service
	Reload  bool            // give documents of the service the script that reloads them
	Closing context.Context // ends the streams of events
	// Skipped is called for a document that cannot be given the script, with the reason. It may be nil.
	Skipped func(path, reason string)
}

// Live is the middleware. Create it with New.
type Live struct {
	Board *Board // immutable, like all below
	Feed  *Feed

	cfg   Config
	pages *template.Template
}

// New returns the middleware of a project whose first build is about to begin.
func New(cfg Config) *Live {
	return &Live{Board: NewBoard(), Feed: NewFeed(), cfg: cfg, pages: parsePages()}
}

// Handler returns a handler that answers in place of next while there is no version to answer, and completes the
// documents of next.
func (l *Live) Handler(next http.Handler) http.Handler {
	own := l.own()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if below(r.URL.Path, Root) {
			own.ServeHTTP(w, r)
			return
		}
		l.serve(w, r, next)
	})
}

// own returns the handler of the reserved paths.
func (l *Live) own() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Root+"{$}", l.serveRequests)
	mux.HandleFunc("GET "+Root+"events", l.serveEvents)
	for name, contentType := range map[string]string{
		"live.js":     "text/javascript; charset=utf-8",
		"page.js":     "text/javascript; charset=utf-8",
		"requests.js": "text/javascript; charset=utf-8",
		"style.css":   "text/css; charset=utf-8",
	} {
		mux.HandleFunc("GET "+Root+name, func(w http.ResponseWriter, r *http.Request) { serveAsset(w, r, name, contentType) })
	}
	return mux
}

// serve answers a request to the service.
func (l *Live) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	state, _ := l.Board.State()
	if state.Failure != nil && !local(r.Host) {
		state.Failure = state.Failure.untold()
	}
	ours := below(r.URL.Path, l.cfg.Prefix) && !below(r.URL.Path, "/"+routekey.ReservedSegment)
	switch {
	case ours && navigates(r) && state.Failure != nil:
		l.write(w, http.StatusServiceUnavailable, "failed", state)
	case ours && navigates(r) && state.Served == nil:
		l.write(w, http.StatusServiceUnavailable, "building", state)
	case ours && state.Served == nil:
		problem.Respond(w, r, "", notReady(state))
	case l.cfg.Reload && navigates(r):
		l.inject(w, r, next, state.Results)
	default:
		next.ServeHTTP(w, r)
	}
}

// notReady returns the problem of a request to a service that has no version yet.
func notReady(s State) *problem.Problem {
	if s.Failure == nil {
		return problem.Newf(problem.NotReady, "the first build has been running for %s", since(s.Building))
	}
	p := problem.New(problem.NotReady, "the first build has failed, and no version can answer: the terminal of vespo dev shows the reason")
	for _, d := range s.Failure.Diagnostics {
		if !d.Warning {
			p.Violations = append(p.Violations, problem.Violation{Text: d.Place() + ": " + d.Message})
		}
	}
	return p
}

// navigates reports whether a browser requests a document in order to show it. Browsers send Sec-Fetch-Dest over
// HTTPS and to this machine; without it, the accepted types have to do.
func navigates(r *http.Request) bool {
	if r.Method != http.MethodGet || !page.Wanted(r.Header) {
		return false
	}
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "", "document", "iframe", "frame":
		return true
	}
	return false
}

// below reports whether path equals prefix or lies below it.
func below(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(prefix, "/"))
	return ok && (rest == "" || rest[0] == '/')
}
