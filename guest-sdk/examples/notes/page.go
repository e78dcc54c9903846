package main

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"strconv"
)

// markup is HTML. A string becomes markup only by the function text, which escapes it, so the compiler finds strings
// that were not escaped. html/template knows more contexts, such as URLs and scripts, and makes the module three times
// as large: see the example templates.
type markup string

// text escapes a text for HTML, as content or within a quoted attribute.
func text(s string) markup { return markup(html.EscapeString(s)) }

const style markup = `body{font:1rem/1.5 system-ui;max-width:40rem;margin:2rem auto;padding:0 1rem}form{margin:1rem 0}.problem{color:#a00}`

// styleHash names the style in the Content-Security-Policy. It is computed in the initialisation, so it is in the
// snapshot.
var styleHash = hashOf(style)

func hashOf(s markup) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// show writes a page.
func (v *visit) show(status int, title string, body markup) {
	v.w.SetStatus(status)
	v.w.Header.Set("content-type", "text/html; charset=utf-8")
	v.w.WriteString(string(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>` + text(title) + `</title>
<style>` + style + `</style>
</head>
<body>
<h1>` + text(title) + `</h1>
` + body + `</body>
</html>
`))
}

// forms shows the login.
func (v *visit) forms() error { return v.showForms(200, "") }

func (v *visit) showForms(status int, problem string) error {
	v.show(status, "Notes", warn(problem)+v.accountForm("/login", "Sign in", "current-password")+
		v.accountForm("/register", "Register", "new-password"))
	return nil
}

func (v *visit) accountForm(path, button, kind string) markup {
	return v.formTo(path, "") + `
<input name="name" autocomplete="username" placeholder="name" required>
<input name="password" type="password" autocomplete="` + text(kind) + `" placeholder="password" required>
<button>` + text(button) + `</button>
</form>
`
}

func (v *visit) showNotes(status int, s session, u user, problem string) {
	token := v.formToken(s)
	body := warn(problem) + v.formTo("/add", token) + `
<input name="text" placeholder="note" required>
<input name="days" type="number" value="30" min="1" max="365">
<button>Add</button>
</form>
<ul>
`
	for _, n := range u.Notes {
		if !v.now.Before(n.Until) {
			continue // not swept yet
		}
		body += `<li>` + text(n.Text) + ` <small>until ` + text(n.Until.Format("2006-01-02")) + `</small>` +
			v.formTo("/delete", token) + `<input type="hidden" name="id" value="` + text(n.ID) + `"><button>Delete</button></form></li>
`
	}
	v.show(status, "Notes of "+s.User, body+`</ul>
`+v.formTo("/logout", token)+`<button>Sign out on all devices</button></form>
<p>`+text(strconv.Itoa(maxNotes-len(u.Notes)))+` notes left</p>
`)
}

// formTo returns the beginning of a form to a path of this service, with the session's token.
func (v *visit) formTo(path, token string) markup {
	begin := `<form method="post" action="` + text(v.base+path) + `">`
	if token != "" {
		begin += `<input type="hidden" name="token" value="` + text(token) + `">`
	}
	return begin
}

func warn(problem string) markup {
	if problem == "" {
		return ""
	}
	return `<p class="problem" role="alert">` + text(problem) + `</p>
`
}
