package browser

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/conformance/internal/program"
)

// pollEvery is the time between two looks at a tab.
const pollEvery = 50 * time.Millisecond

// console is a server whose console the tests look at.
type console struct {
	*tab
	server *program.Process
	public string // URL of the public listener
	ui     string // URL of the console
	token  string
}

// openConsole starts a server with the flags, and opens its console.
func openConsole(t *testing.T, token string, flags ...string) *console {
	t.Helper()
	c := &console{tab: openTab(t), token: token}
	c.start(append([]string{"--listen", "127.0.0.1:0", "--data", t.TempDir()}, flags...)...)
	c.run(chromedp.Navigate(c.ui))
	return c
}

func (c *console) start(flags ...string) {
	c.t.Helper()
	env := os.Environ()
	if c.token != "" {
		env = append(env, "VESPO_ADMIN_TOKEN="+c.token)
	}
	c.server = program.Start(c.t, env, vespo, append([]string{"serve", "--worker-listen", "127.0.0.1:0", "--slots", "40", "--memory", "1MiB"}, flags...)...)
	c.ui = c.server.Line(`^console at (http://\S+)$`)
	c.public = c.server.Line(`^listening on (http://\S+)$`)
}

// show goes to a view, as a link does.
func (c *console) show(view string) {
	c.t.Helper()
	evaluate[any](c.tab, fmt.Sprintf("location.hash = %q; null", "#/"+view))
}

// await waits until a script is true.
func (c *console) await(script string) {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		ok, err := chromedp.Run(c.ctx, chromedp.Evaluate[bool](script))
		return err == nil && ok
	}, program.HangTimeout, pollEvery, "%s", script)
}

// click clicks the element with a role and a text.
func (c *console) click(element, text string) {
	c.t.Helper()
	c.run(chromedp.Click(fmt.Sprintf("//%s[contains(., %q)]", element, text)))
}

// post sends a request to the API, and asserts that it succeeds.
func (c *console) post(path, contentType string, body io.Reader) {
	c.t.Helper()
	r, err := http.NewRequest(http.MethodPost, c.public+path, body)
	require.NoError(c.t, err)
	r.Header.Set("Content-Type", contentType)
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(c.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	require.Less(c.t, resp.StatusCode, 300, "%s", text)
}

// add adds a module of the guests for tests, with fields.
func (c *console) add(module string, fields map[string]string) {
	c.t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for name, value := range fields {
		require.NoError(c.t, form.WriteField(name, value))
	}
	part, err := form.CreateFormFile("module", module)
	require.NoError(c.t, err)
	content, err := os.ReadFile(modulePath(module))
	require.NoError(c.t, err)
	_, err = part.Write(content)
	require.NoError(c.t, err)
	require.NoError(c.t, form.Close())
	c.post("/services/add", form.FormDataContentType(), &b)
}

func modulePath(name string) string {
	path, _ := filepath.Abs(filepath.Join("..", "..", "testdata", "guests", "wat", name+".wasm"))
	return path
}

// furnish adds services of several kinds and sends them requests.
func (c *console) furnish() {
	c.t.Helper()
	c.add("hello", map[string]string{"prefix": "hello", "message": "first version", "author": "ada"})
	c.add("hello", map[string]string{"prefix": "hello", "timeout": "2s", "message": "answer within 2 s", "author": "grace", "allow": "https://api.example.com", "cron": "*/5 * * * * GET /tick"})
	c.add("echo", map[string]string{"prefix": "shop/cart", "kv": "sessions", "message": "keep the cart in a store", "author": "ada"})
	c.add("oom", map[string]string{"prefix": "report", "author": "ada"})
	for _, body := range []string{
		`{"prefix": "jobs", "queue": true}`,
		`{"prefix": "old", "redirect": "/hello", "permanent": true}`,
		`{"prefix": "upper", "upstream": ["http://127.0.0.1:9"], "match": "Host: upper.example.com"}`,
		`{"prefix": "invoices", "function": true}`,
	} {
		c.post("/services/add", "application/json", strings.NewReader(body))
	}
	for i := range 60 {
		for _, path := range []string{"/hello", "/hello", "/shop/cart", "/report/5000", "/old"} {
			if i%6 != 0 && path == "/report/5000" {
				continue
			}
			resp, err := http.Get(c.public + path)
			require.NoError(c.t, err)
			_ = resp.Body.Close()
		}
	}
}

// shots photographs the view for a desktop and for a phone, in light and dark.
func (c *console) shots(name string) {
	c.t.Helper()
	c.photograph(name)
	c.run(call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 390, Height: 844, DeviceScaleFactor: 2, Mobile: true}))
	c.photograph(name + "-phone")
	wide := evaluate[int64](c.tab, `document.documentElement.scrollWidth - document.documentElement.clientWidth`)
	require.LessOrEqual(c.t, wide, int64(0), "the page is wider than a phone")
	c.run(chromedp.EmulateViewport(1280, 800))
}

func evaluate[T any](b *tab, script string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script))
	require.NoError(b.t, err, script)
	return value
}

const service = "service?prefix=%2Fhello"

func TestConsoleViews(t *testing.T) {
	c := openConsole(t, "")
	axe := axeSource(t)
	c.run(chromedp.EmulateViewport(1280, 800))
	c.sees("p", "There are no services yet.")
	c.shots("empty")
	c.accessible(axe)
	c.furnish()
	c.sees("a[@class='name']", "/shop/cart")
	c.await(`document.querySelectorAll(".services tbody tr").length === 7`)
	c.await(`[...document.querySelectorAll(".services td")].some((e) => e.textContent.includes("100%"))`)
	for _, view := range []struct{ name, hash, sees string }{
		{"services", "", "Memory of guests"},
		{"service", service, "Outcomes of the last hour"},
		{"failing", "service?prefix=%2Freport", "Last failures"},
		{"queues", "queues", "Queues"},
		{"functions", "functions", "Functions"},
		{"schedules", "schedules", "*/5 * * * * GET /tick"},
		{"stores", "stores", "sessions"},
		{"add", "add", "What it is"},
		{"missing", "service?prefix=%2Fnone", "no service is bound"},
	} {
		c.show(view.hash)
		c.sees("main", view.sees)
		c.shots(view.name)
		c.accessible(axe)
	}
	c.run(chromedp.NavigateBack())
	c.sees("h1", "Add a service")
	c.clean()
}

// axeSource returns the script of axe-core, "" if npm cannot install it.
func axeSource(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(os.TempDir(), "vespo-test-axe-4.10.3")
	path := filepath.Join(dir, "node_modules", "axe-core", "axe.min.js")
	if _, err := os.Stat(path); err != nil {
		out, err := exec.Command("npm", "install", "--no-audit", "--no-fund", "--prefix", dir, "axe-core@4.10.3").CombinedOutput()
		if err != nil {
			t.Logf("NOT TRIED: axe-core cannot be installed by npm: %v: %s", err, out)
			return ""
		}
	}
	source, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(source)
}

// accessible asserts that axe-core finds nothing in the view, in light and in dark.
func (c *console) accessible(axe string) {
	c.t.Helper()
	if axe == "" {
		return
	}
	for _, scheme := range []string{"dark", "light"} {
		c.prefer(scheme)
		evaluate[any](c.tab, axe+"; null")
		found, err := chromedp.Run(c.ctx, chromedp.Evaluate[string](`axe.run(document, {resultTypes: ["violations"]}).then((r) =>
			r.violations.flatMap((v) => v.nodes.map((n) => v.id + ": " + n.target + " " + n.failureSummary)).join("\n"))`, chromedp.EvalAwaitPromise))
		require.NoError(c.t, err)
		require.Empty(c.t, found, scheme)
	}
}
