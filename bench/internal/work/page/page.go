// Package page renders a table with html/template.
package page

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
)

const rows = 25

type row struct {
	Name  string
	Count int
	Note  string
}

// Page is a parsed template with its rows.
type Page struct {
	template *template.Template
	rows     []row
}

// New parses the template.
func New() *Page {
	p := &Page{template: template.Must(template.New("page").Parse(`<!DOCTYPE html>
<title>{{.Title}}</title>
<h1>{{.Title}}</h1>
<table>
{{range .Rows}}<tr><td><a href="/items/{{.Count}}">{{.Name}}</a></td><td>{{.Count}}</td><td>{{.Note}}</td></tr>
{{end}}</table>
`))}
	for i := range rows {
		p.rows = append(p.rows, row{fmt.Sprintf("item %d", i), i * i, "made of <wood> & paper"})
	}
	return p
}

// ServeHTTP renders the page.
func (p *Page) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	var b bytes.Buffer
	err := p.template.Execute(&b, struct {
		Title string
		Rows  []row
	}{"All items", p.rows})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = b.WriteTo(w) // the server handles write errors
}
