package browser

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/conformance/internal/program"
)

// vespo is the path of the built command.
var vespo string

func TestMain(m *testing.M) {
	os.Exit(program.Main(m, map[*string]program.Source{&vespo: program.Vespo}))
}

// source is a service. Its parts are replaced by tests.
const source = `package main

import (
	"io"

	guest "github.com/vespo-dev/vespo/guest-sdk"
)

func init() { guest.Handle(handle) }

func handle(w *guest.Response, r *guest.Request) {
	if r.Path() == "/fail" {
		guest.Log(guest.LevelWarn, "about to fail")
		panic("no such luck")
	}
	w.Header.Set("content-type", "text/html; charset=utf-8")
	w.Header.Set("content-security-policy", "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'nonce-abc'; connect-src 'self'")
	io.WriteString(w, "<!DOCTYPE html><html lang=en><title>Greeting</title><link rel=icon href=data:,>"+
		"<style>body { font: 1.2rem sans-serif; margin: 3rem }</style><h1>Good morning</h1><p>from "+r.Path()+"</p></html>\n")
}

func main() {}
`

// project is a project that "vespo dev" serves.
type project struct {
	t   *testing.T
	dir string
}

func newProject(t *testing.T) *project {
	t.Helper()
	p := &project{t: t, dir: filepath.Join(t.TempDir(), "greeting")}
	out, err := exec.Command(vespo, "new", p.dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	p.save("", "")
	return p
}

// save saves the source with a part replaced.
func (p *project) save(old, replacement string) {
	p.t.Helper()
	require.Contains(p.t, source, old)
	text := strings.Replace(source, old, replacement, 1)
	require.NoError(p.t, os.WriteFile(filepath.Join(p.dir, "main.go"), []byte(text), 0o644))
}

// freeAddress returns an address on which nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// TestDev goes through the life of a project in one tab, which navigates only where the test says so.
func TestDev(t *testing.T) {
	b := openTab(t)
	p := newProject(t)
	gate, env := slowGo(t)
	address := freeAddress(t)
	dev := program.Start(t, env, vespo, "dev", p.dir, "--listen", address)
	dev.Line(`^building greeting`)
	url := "http://" + address

	// The tab shows the running time of the first build, and then the service.
	awaitListener(t, address)
	b.run(chromedp.Navigate(url + "/world"))
	b.sees("h1", "Building greeting")
	b.sees("span[@data-elapsed]", ".")
	b.photograph("building")
	gate.open(t)
	b.sees("h1", "Good morning")
	b.sees("p", "from /world")
	dev.Line(`^listening on http://` + address)
	b.photograph("good")

	// A change shows by itself. The document has a policy, which admits the script by its nonce.
	p.save("Good morning", "Good day")
	b.sees("h1", "Good day")

	// So does an error, with its place, and the next build while it runs.
	p.save("io.WriteString(w,", "io.WriteStrung(w,")
	b.sees("h1", "Build failed")
	b.sees("h2", "main.go:18:5")
	b.sees("p", "undefined: io.WriteStrung")
	b.sees("span[@class='here']", "io.WriteStrung(w,")
	b.sees("p", "Generation 2, the last good version")
	b.photograph("error")
	status, body := get(t, url+"/world")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "Good day")
	require.True(t, strings.HasSuffix(body, "</html>\n"), "other clients get the service's bytes")

	gate.close(t)
	p.save("Good morning", "Good evening")
	b.sees("span[@role='status']", "Building again for ")
	gate.open(t)
	b.sees("h1", "Good evening")
	errors, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](`document.querySelectorAll(".bad").length`))
	require.NoError(t, err)
	require.Zero(t, errors)

	// A request that the service fails shows by a page of the server, which goes away like the others.
	b.run(chromedp.Navigate(url + "/fail"))
	b.sees("h1", "Guest exited")
	p.save(`r.Path() == "/fail"`, `r.Path() == "/elsewhere"`)
	b.sees("p", "from /fail")

	// Going back to a page does not show an old version.
	b.run(chromedp.Navigate(url+"/world"), chromedp.Navigate("about:blank"))
	p.save("Good morning", "Good night")
	dev.Line(`serves generation 5$`)
	b.run(chromedp.NavigateBack())
	b.sees("h1", "Good night")
	b.clean()
}

func TestRequests(t *testing.T) {
	b := openTab(t)
	p := newProject(t)
	dev := program.Start(t, append(os.Environ(), "GOWORK=off"), vespo, "dev", p.dir, "--listen", "127.0.0.1:0")
	url := dev.Line(`^listening on (http://\S+)$`)
	b.run(chromedp.Navigate(url + "/__vespo/"))
	b.sees("p", "Generation 1 serves")
	b.sees("td", "GET /") // which vespo dev has sent

	// Requests show by themselves, with the log lines of the service.
	for _, path := range []string{"/world", "/world?page=2", "/fail"} {
		_, _ = get(t, url+path)
	}
	b.sees("td", "GET /world?page=2")
	b.sees("td", "500 exit")
	b.sees("li", "about to fail")
	b.sees("li", "no such luck")
	b.photograph("requests")

	p.save("Good morning", "Good day")
	b.sees("p", "Generation 2 serves")
	b.clean()
}

// awaitListener waits until a server listens.
func awaitListener(t *testing.T, address string) {
	t.Helper()
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, program.HangTimeout, program.HangTimeout/1000)
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}
