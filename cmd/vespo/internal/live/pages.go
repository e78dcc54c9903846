package live

import (
	"embed"
	"html/template"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/router/accesslog"
)

// assets are the templates of pages, and the scripts and styles that they and documents of services load.
//
//go:embed assets
var assets embed.FS

func parsePages() *template.Template {
	funcs := template.FuncMap{
		"bytes":   accesslog.Bytes,
		"took":    accesslog.Time,
		"since":   since,
		"elapsed": func(t time.Time) int64 { return time.Since(t).Milliseconds() },
		"clock":   func(t time.Time) string { return t.Format(time.TimeOnly) },
		"iso":     func(t time.Time) string { return t.Format(time.RFC3339) },
		"caret":   caret,
	}
	return template.Must(template.New("").Funcs(funcs).ParseFS(assets, "assets/*.tmpl"))
}

// pageData is the data of the templates.
type pageData struct {
	Name    string
	Prefix  string
	Root    string
	State   State
	Entries []Entry
}

// write answers with a page.
func (l *Live) write(w http.ResponseWriter, status int, name string, state State) {
	l.writePage(w, status, name, pageData{Name: l.cfg.Name, Prefix: l.cfg.Prefix, Root: Root, State: state})
}

func (l *Live) writePage(w http.ResponseWriter, status int, name string, p pageData) {
	var text strings.Builder
	if err := l.pages.ExecuteTemplate(&text, name+".tmpl", p); err != nil {
		http.Error(w, "the page cannot be shown: "+err.Error(), http.StatusInternalServerError) // a defect of the template
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(text.Len()))
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'")
	secure(h)
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text.String())) // fails if the client is gone
}

// serveRequests answers with the page of the last requests.
func (l *Live) serveRequests(w http.ResponseWriter, r *http.Request) {
	if !local(r.Host) {
		http.Error(w, "this page is shown "+localOnly, http.StatusForbidden)
		return
	}
	state, _ := l.Board.State()
	l.writePage(w, http.StatusOK, "requests", pageData{
		Name:    l.cfg.Name,
		Prefix:  l.cfg.Prefix,
		Root:    Root,
		State:   state,
		Entries: l.Feed.Entries(),
	})
}

// localOnly says where sources and logs are shown, and why.
const localOnly = "at an IP address or localhost only, because other sites can give themselves any other name of this machine"

// local reports whether a Host header is an address or localhost. A page of another site, whose name was made to
// resolve to this machine (DNS rebinding), has the name of that site instead.
func local(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// serveAsset answers with an embedded file.
func serveAsset(w http.ResponseWriter, _ *http.Request, name, contentType string) {
	content, err := assets.ReadFile("assets/" + name)
	if err != nil {
		http.NotFound(w, nil)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	w.Header().Set("Cache-Control", "no-store")
	secure(w.Header())
	_, _ = w.Write(content) // fails if the client is gone
}

// secure sets the fields that keep other sites from reading an answer.
func secure(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// since returns the time since t for people, such as "12 s" and "3 min".
func since(t time.Time) string {
	switch d := time.Since(t); {
	case d < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 0, 64) + " s"
	case d < time.Hour:
		return strconv.FormatFloat(d.Minutes(), 'f', 0, 64) + " min"
	default:
		return strconv.FormatFloat(d.Hours(), 'f', 0, 64) + " h"
	}
}

// caret returns spaces and tabs as wide as the text before a column, which counts bytes from 1.
func caret(line string, column int) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, line[:max(0, min(column-1, len(line)))])
}
