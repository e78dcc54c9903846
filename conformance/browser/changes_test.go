package browser

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/conformance/internal/program"
)

// choose selects a file in the form.
func (c *console) choose(path string) {
	c.t.Helper()
	object, err := chromedp.Run(c.ctx, chromedp.Nodes(`//input[@type="file"]`))
	require.NoError(c.t, err)
	require.Len(c.t, object, 1)
	c.run(call(dom.SetFileInputFiles, dom.SetFileInputFilesParams{Files: []string{path}, NodeID: object[0].NodeID}))
}

// enter types into the field with a name.
func (c *console) enter(field, text string) {
	c.t.Helper()
	c.run(chromedp.SendKeys(fmt.Sprintf(`//*[@name=%q]`, field), text))
}

// tabTo presses Tab until an element with the text or the name has the focus, which must be visible.
func (c *console) tabTo(text string) {
	c.t.Helper()
	for range 80 {
		c.run(chromedp.KeyEvent("\t"))
		at := evaluate[string](c.tab, `document.activeElement.name || document.activeElement.textContent`)
		if strings.HasPrefix(at, text) {
			require.NotEqual(c.t, "none", evaluate[string](c.tab, `getComputedStyle(document.activeElement).outlineStyle`), "the focus on %q is not visible", text)
			return
		}
	}
	require.Fail(c.t, "the keyboard does not reach "+text)
}

func (c *console) press(key string) { c.run(chromedp.KeyEvent(key)) }

// TestConsoleChanges goes through the life of a service by the keyboard alone, but for the file dialog of the system.
func TestConsoleChanges(t *testing.T) {
	c := openConsole(t, "")
	c.sees("p", "There are no services yet.")
	c.tabTo("Skip to the content")
	c.press("\r")
	c.tabTo("Add a service")
	c.press("\r")
	c.sees("h1", "Add a service")
	require.Equal(t, "Add a service", evaluate[string](c.tab, `document.activeElement.textContent`), "the focus follows to the new view")

	// The server's errors stand beside their fields.
	c.choose(modulePath("hello"))
	c.tabTo("prefix")
	c.press("greet")
	c.tabTo("Options")
	c.press("\r")
	c.tabTo("memory")
	c.press("3 bananas")
	c.tabTo("Add")
	c.press("\r")
	c.sees("p[@id='e-memory']", "memory")
	require.Equal(t, "memory", evaluate[string](c.tab, `document.activeElement.name`), "the first field with an error has the focus")
	require.Equal(t, "true", evaluate[string](c.tab, `document.activeElement.getAttribute("aria-invalid")`))
	c.photograph("refused")
	evaluate[any](c.tab, `document.activeElement.select(); null`)
	c.press("1MiB")
	c.tabTo("message")
	c.press("first")
	c.press("\r")
	c.sees("h1", "/greet")
	status, body := get(t, c.public+"/greet")
	require.Equal(t, http.StatusOK, status)
	require.NotEmpty(t, body)

	// A new version by drag and drop.
	c.tabTo("Replace")
	c.press("\r")
	c.sees("h1", "Replace /greet")
	c.drop("echo")
	c.sees("p", "echo.wasm")
	c.tabTo("Replace")
	c.press("\r")
	c.sees("span", "version 2")

	c.tabTo("Compare")
	c.press("\r")
	c.sees("h2", "From version 1 to 2")
	c.sees("li", "module")
	c.photograph("compare")
	c.press("\x1b")
	c.tabTo("Roll back")
	c.press("\r")
	c.sees("h2", "Use version 1 of /greet again?")
	c.tabTo("Use version 1")
	c.press("\r")
	c.sees("p[@id='said']", "/greet serves version 1 again.")
	_, again := get(t, c.public+"/greet")
	require.Equal(t, body, again)

	c.clean()
}

// drop drops a module on the form.
func (c *console) drop(module string) {
	c.t.Helper()
	content, err := os.ReadFile(modulePath(module))
	require.NoError(c.t, err)
	evaluate[any](c.tab, fmt.Sprintf(`{
		const transfer = new DataTransfer();
		transfer.items.add(new File([new Uint8Array(%s)], "%s.wasm", {type: "application/wasm"}));
		document.querySelector(".drop").dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
	} null`, strings.ReplaceAll(fmt.Sprint(content), " ", ","), module))
}

// TestConsoleRemoves checks the question before a removal, and a schedule that is run now.
func TestConsoleRemoves(t *testing.T) {
	c := openConsole(t, "")
	c.add("hello", map[string]string{"prefix": "hello", "cron": "@yearly GET /tick"})
	c.show("schedules")
	c.click("button", "Run now")
	c.sees("h2", "Run @yearly GET /tick of /hello now?")
	c.click("dialog//button", "Run now")
	c.sees("p[@id='said']", "/hello: ok, status 200")
	c.sees("td", "ok 200")

	c.show(service)
	c.click("button", "Remove")
	c.sees("h2", "Remove /hello?")
	require.Equal(t, "Cancel", evaluate[string](c.tab, `document.activeElement.textContent`), "Enter does not remove")
	c.photograph("remove")
	c.press("\r")
	status, _ := get(t, c.public+"/hello")
	require.Equal(t, http.StatusOK, status)
	c.click("button", "Remove")
	c.click("button", "Remove /hello")
	c.sees("p", "There are no services yet.")
	status, _ = get(t, c.public+"/hello")
	require.Equal(t, http.StatusNotFound, status)
	c.clean()
}

func TestConsoleToken(t *testing.T) {
	const token = "correct-horse-battery-staple-42"
	c := openConsole(t, token)
	c.sees("p", "This server wants a token.")
	c.photograph("token")
	for _, wrong := range []string{"wrong-horse-battery-staple-4242", "héllo wörld"} {
		c.enter("token", wrong+"\r")
		c.await(`document.querySelector("#why").textContent.match(/did not accept|copy it again/)` + " !== null")
		require.Empty(t, evaluate[string](c.tab, `sessionStorage.getItem("vespo-token") ?? ""`))
		evaluate[any](c.tab, `document.querySelector("#token").value = ""; null`)
	}
	c.enter("token", token+"\r")
	c.sees("p", "There are no services yet.")
	c.run(chromedp.Reload())
	c.sees("p", "There are no services yet.")
	c.sees("a", "Add a service")
	require.Empty(t, evaluate[string](c.tab, `JSON.stringify(localStorage) + document.cookie`)[2:], "the token ends with the tab")
	c.click("button", "Sign out")
	c.sees("p", "This server wants a token.")
	c.clean()
}

// TestConsoleRestart stops the server under an open console, and starts it again.
func TestConsoleRestart(t *testing.T) {
	data := t.TempDir()
	listen, own := freeAddress(t), freeAddress(t)
	flags := []string{"--listen", listen, "--admin-listen", own, "--data", data}
	c := openConsole(t, "", flags...)
	c.add("hello", map[string]string{"prefix": "hello"})
	c.sees("a[@class='name']", "/hello")
	c.server.Stop(syscall.SIGTERM)
	c.sees("p[@id='link']", "The server does not answer.")
	c.sees("a[@class='name']", "/hello") // its last state
	c.photograph("gone")
	c.start(flags...)
	c.sees("p[@id='said']", "The server is back.")
	c.await(`document.querySelector("#link").textContent === ""`)
	c.clean()
}

// TestConsoleHostileTexts checks that texts of others are shown as texts.
func TestConsoleHostileTexts(t *testing.T) {
	c := openConsole(t, "")
	c.run(chromedp.EmulateViewport(1280, 800))
	markup := `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`
	c.add("hello", map[string]string{
		"prefix":  "a" + strings.Repeat("b", 62) + strings.Repeat("/"+strings.Repeat("c", 60), 3),
		"match":   "X-Name: <b onclick=alert(1)>" + strings.Repeat("long", 40),
		"message": markup + strings.Repeat(" long", 60),
		"author":  "eve \u202e txt.exe \u2066",
	})
	c.sees("a[@class='name']", "<b onclick=alert(1)>")
	c.shots("hostile")
	evaluate[any](c.tab, `document.querySelector("a.name").click(); null`)
	c.sees("bdi", "<img src=x onerror=")
	shown := evaluate[string](c.tab, `document.querySelector("main").textContent`)
	require.Contains(t, shown, markup)
	require.Contains(t, shown, `eve \u202e txt.exe \u2066`, "marks of direction are visible, and have no effect")
	c.shots("hostile-service")
	require.Zero(t, evaluate[int](c.tab, `document.querySelectorAll("main img, main script, main b, [onclick]").length`))
	require.NotEqual(t, "owned", evaluate[string](c.tab, `document.title`))
	c.clean()
}

// TestConsoleManyServices checks that a thousand services are a page of rows, which can be searched.
func TestConsoleManyServices(t *testing.T) {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "[[service]]\nprefix = \"team-%02d/service-%03d\"\nredirect = \"/elsewhere\"\n", i%25, i)
	}
	file := filepath.Join(t.TempDir(), "vespo.toml")
	require.NoError(t, os.WriteFile(file, []byte(b.String()), 0o644))
	c := openConsole(t, "", "--config-file", file)
	c.sees("span", "1,000 services")
	require.Equal(t, 100, evaluate[int](c.tab, `document.querySelectorAll(".services tbody tr").length`))
	c.click("button", "Show 100 more")
	require.Equal(t, 200, evaluate[int](c.tab, `document.querySelectorAll(".services tbody tr").length`))
	c.run(chromedp.SendKeys("//input[@id='filter']", "service-777"))
	c.await(`document.querySelectorAll(".services tbody tr").length === 1`)
	c.sees("a[@class='name']", "/team-02/service-777")
	require.Equal(t, "filter", evaluate[string](c.tab, `document.activeElement.id`), "updates leave the focus")
	c.show("service?prefix=%2Fteam-02%2Fservice-777")
	c.sees("p", "The configuration file of the server declares this service")
	c.clean()
}

// sees is that of the tab for a view that needs no build.
func (c *console) sees(element, text string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.ctx, program.HangTimeout)
	defer cancel()
	err := chromedp.Do(ctx, chromedp.WaitVisible(fmt.Sprintf("//%s[contains(., %q)]", element, text)))
	require.NoError(c.t, err, "%s %q; the tab shows:\n%s", element, text, c.text())
}
