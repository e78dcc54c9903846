// Command templates renders HTML pages with html/template: a list of nests and a page for each, in a common layout.
//
// The templates are parsed during initialisation, so the snapshot contains the parsed templates.
package main

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"slices"
	"strings"

	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/nethttp"
	"github.com/vespo-dev/vespo/guest-sdk/vespo"
	"github.com/vespo-dev/vespo/guest-sdk/vespo/vespohttp"
)

//go:embed pages/*.html
var files embed.FS

// pages contains a set of templates for each page: the layout and the definitions of the page.
var pages = map[string]*template.Template{
	"list":     parse("list"),
	"nest":     parse("nest"),
	"notfound": parse("notfound"),
}

func parse(page string) *template.Template {
	return template.Must(template.ParseFS(files, "pages/layout.html", "pages/"+page+".html"))
}

type nest struct {
	Name, Place string
	Wasps       int
	Notes       []string
}

var nests = []nest{
	{"attic", "under the roof", 400, []string{"entrance by the east gable", "leave it alone <until the frost>"}},
	{"shed", "behind the rake", 35, nil},
}

func init() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", list)
	mux.HandleFunc("GET /nests/{name}", show)
	mux.HandleFunc("GET /", notFound)
	nethttp.Serve(vespohttp.StripPrefix(mux))
}

func list(w http.ResponseWriter, r *http.Request) {
	search := r.FormValue("search")
	found := slices.DeleteFunc(slices.Clone(nests), func(n nest) bool {
		return !strings.Contains(n.Name+" "+n.Place, search)
	})
	render(w, http.StatusOK, "list", map[string]any{"Search": search, "Nests": found})
}

func show(w http.ResponseWriter, r *http.Request) {
	i := slices.IndexFunc(nests, func(n nest) bool { return n.Name == r.PathValue("name") })
	if i < 0 {
		notFound(w, r)
		return
	}
	render(w, http.StatusOK, "nest", nests[i])
}

func notFound(w http.ResponseWriter, r *http.Request) {
	render(w, http.StatusNotFound, "notfound", r.URL.Path)
}

// render writes a page. It buffers the page, so that a failing template results in status 500 and not in part of a page
// with status 200.
func render(w http.ResponseWriter, status int, page string, data any) {
	base := vespo.Prefix()
	if base == "/" {
		base = ""
	}
	var b bytes.Buffer
	if err := pages[page].Execute(&b, map[string]any{"Base": base, "Data": data}); err != nil {
		guest.Log(guest.LevelError, err.Error())
		http.Error(w, "this page cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	b.WriteTo(w)
}

func main() {}
