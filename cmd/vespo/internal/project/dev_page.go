package project

import (
	"html/template"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
)

// pageTemplate reloads itself, so that the service replaces the page once a build succeeds.
const pageTemplate = `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="1">
<title>Build failed</title>
<style>body { font: 1rem sans-serif; margin: 2rem } pre { background: #f4f0f0; border-left: 4px solid #b00020; overflow-x: auto; padding: 1rem }</style>
<h1>Build failed</h1>
<pre>{{.}}</pre>
<p>Other clients still get the last version that could be built, if there is one. This page reloads itself.</p>
`

// buildPage is middleware that shows browsers why the last build has failed.
// Requests of other clients, and all requests while no failure is shown, go to next.
type buildPage struct {
	prefix registry.Prefix // immutable
	next   http.Handler    // immutable
	failed atomic.Pointer[string]
}

func (p *buildPage) show(text string) { p.failed.Store(&text) }
func (p *buildPage) clear()           { p.failed.Store(nil) }

// ServeHTTP implements http.Handler.
func (p *buildPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text := p.failed.Load()
	if text == nil || !p.browses(r) {
		p.next.ServeHTTP(w, r)
		return
	}
	var page strings.Builder
	if err := template.Must(template.New("page").Parse(pageTemplate)).Execute(&page, *text); err != nil {
		http.Error(w, *text, http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, page.String()) // fails if the client is gone
}

// browses reports whether a browser requests a page of the service.
func (p *buildPage) browses(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") &&
		below(r.URL.Path, string(p.prefix)) && !below(r.URL.Path, "/"+router.ReservedSegment)
}

// below reports whether path equals prefix or lies below it.
func below(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(prefix, "/"))
	return ok && (rest == "" || rest[0] == '/')
}
