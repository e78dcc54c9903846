package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fill replaces the text of the field with an id.
func (c *console) fill(id, text string) {
	c.t.Helper()
	evaluate[any](c.tab, fmt.Sprintf(`{ const field = document.getElementById(%q); field.focus(); field.select(); } null`, id))
	c.press(text)
}

// TestConsoleTraffic divides the requests of a service, and ends a canary.
func TestConsoleTraffic(t *testing.T) {
	c := openConsole(t, "")
	axe := axeSource(t)
	c.add("hello", map[string]string{"prefix": "hello", "message": "first"})
	c.add("echo", map[string]string{"prefix": "hello", "message": "second"})
	c.show(service)
	c.click("button", "Split traffic")
	c.sees("h2", "Divide the requests to /hello")
	c.sees("p", "Together 100%.")
	c.fill("s-1", "40.5")
	c.sees("p", "Together 140.5%: the shares have to be 100% together.")
	c.click("button", "Divide")
	c.sees("p[@role='alert']", "adds up to 140.5%")
	c.photograph("split")
	c.accessible(axe)
	c.fill("s-2", "59.5")
	c.sees("p", "Together 100%.")
	c.click("button", "Divide")
	c.sees("p[@id='said']", "The requests to /hello are divided.")
	c.sees("td", "59.5%")
	c.sees("td", "40.5%")

	c.add("oom", map[string]string{"prefix": "hello", "canary": "10%", "canary_for": "1h"})
	c.sees("dd", "version 3 against 2, 10%: running")
	c.sees("dd", "ends in ")
	c.sees("td", "90%")
	c.photograph("canary")
	c.accessible(axe)
	c.click("button", "End canary")
	c.sees("h2", "End the canary of /hello?")
	c.click("dialog//button", "End canary")
	c.sees("p[@id='said']", "All requests to /hello go to version 2 again.")
	c.sees("td", "100%")
	c.sees("button", "Roll back")
	c.clean()
}

// TestConsoleDeployToken signs in with a token that may change one of two services.
func TestConsoleDeployToken(t *testing.T) {
	const token = "correct-horse-battery-staple-42"
	c := openConsole(t, token)
	c.add("hello", map[string]string{"prefix": "team/a"})
	c.add("hello", map[string]string{"prefix": "other"})
	own, reader := c.createToken("team", "deploy:/team/*"), c.createToken("reader", "deploy:/team/*", "read")
	c.sees("p", "This server wants a token.")
	c.enter("token", own+"\r")
	c.sees("span", "team, some services")
	c.sees("a[@class='name']", "/team/a")
	c.await(`document.querySelectorAll(".services tbody tr").length === 1`)
	c.sees("a", "Add a service")
	c.show("service?prefix=%2Fteam%2Fa")
	c.sees("a", "Replace")
	c.show("service?prefix=%2Fother")
	c.sees("p", "the token team has the scopes deploy:/team/*, and this request needs read, or deploy:/other")

	c.click("button", "Sign out")
	c.enter("token", reader+"\r")
	c.sees("p", "You may look at this service.")
	c.await(`[...document.querySelectorAll("main button, main .button")].every((e) => !/Replace|Remove|Split|Roll/.test(e.textContent))`)
	c.photograph("deploy-token")
	c.clean()
}

// createToken creates a token.
func (c *console) createToken(name string, scopes ...string) string {
	c.t.Helper()
	query := url.Values{"name": {name}, "scope": scopes}
	r, err := http.NewRequest(http.MethodPost, c.public+"/services/tokens/create?"+query.Encode(), strings.NewReader(""))
	require.NoError(c.t, err)
	r.Header.Set("Authorization", "Bearer "+c.token)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(c.t, err)
	defer resp.Body.Close()
	require.Equal(c.t, http.StatusCreated, resp.StatusCode)
	var made struct{ Token string }
	require.NoError(c.t, json.NewDecoder(resp.Body).Decode(&made))
	require.NotEmpty(c.t, made.Token)
	return made.Token
}
