package report

import (
	_ "embed" // for pageText
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

// pageText is the prose of the page, with places for the figures. Figures come from a run alone, prose from this file alone.
//
//go:embed page.md.tmpl
var pageText string

// Section is one part of a page, with the tables of a measurement.
type Section struct {
	Tables []*Table
	Failed string // why there are no tables, or not all; empty: there are
}

// Fact is a line of the description of a run.
type Fact struct{ Name, Value string }

// Page is the page of a run. It is complete at any time: it names sections without figures.
type Page struct {
	Facts    []Fact // the machine, and the load on it
	Versions []Fact
	Commands []string
	Sections map[string]*Section
	Charts   map[string]*Chart
	images   string // directory of the charts, relative to the page
}

// markdown returns the text of the page.
func (p *Page) markdown() (string, error) {
	t, err := template.New("page").Funcs(template.FuncMap{"section": p.section, "chart": p.chart, "facts": facts}).Parse(pageText)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, p)
	return b.String(), err
}

// section returns the tables of a section.
func (p *Page) section(name string) (string, error) {
	s := p.Sections[name]
	if s == nil {
		return "Not measured in this run.", nil
	}
	var b strings.Builder
	for _, t := range s.Tables {
		if err := t.write(&b, "###"); err != nil {
			return "", err
		}
	}
	if s.Failed != "" {
		fmt.Fprintf(&b, "\nNot measured, or not all: %s.\n", s.Failed)
	}
	return strings.Trim(b.String(), "\n"), nil
}

// chart returns a link to a chart.
func (p *Page) chart(name, text string) string {
	if c := p.Charts[name]; c == nil || c.Empty() {
		return ""
	}
	return fmt.Sprintf("![%s](%s/%s.svg)", text, p.images, name)
}

// facts returns a list of facts as a table.
func facts(name string, all []Fact) (string, error) {
	t := &Table{Header: []string{name, ""}}
	for _, f := range all {
		t.Add(f.Name, f.Value)
	}
	t.left = true
	var b strings.Builder
	err := t.write(&b, "")
	return strings.Trim(b.String(), "\n"), err
}

// WriteFile writes the page, and its charts to a directory of the same name. Each file is replaced as a whole.
func (p *Page) WriteFile(path string) error {
	dir := strings.TrimSuffix(path, filepath.Ext(path))
	p.images = filepath.Base(dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(p.Charts)) {
		if p.Charts[name].Empty() {
			continue
		}
		var b strings.Builder
		if err := p.Charts[name].Write(&b); err != nil {
			return err
		}
		if err := replace(filepath.Join(dir, name+".svg"), b.String()); err != nil {
			return err
		}
	}
	text, err := p.markdown()
	if err != nil {
		return err
	}
	return replace(path, text)
}

func replace(path, text string) error {
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
