package main

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestForgedCookies sends cookies that the service has not made.
func TestForgedCookies(t *testing.T) {
	w := newWorld(t)
	b := w.user("ada")
	w.user("eve")
	good := b.cookie
	content, code, _ := strings.Cut(good, ".")
	eve := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"user":"eve","epoch":0,"id":"","until":%d}`, time.Now().Add(time.Hour).Unix()))
	none := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
	for _, cookie := range []string{
		"", ".", content, content + ".", "." + code, eve + "." + code, eve + "." + none, eve + ".", good + "A", "A" + good, good + "=",
		content + "." + strings.ToUpper(code), content + "." + code[:len(code)-1], content + ".." + code, good + "." + code,
		seal([]byte(strings.Repeat("x", 32)), newSession("ada", 0, time.Now())),
		content + "." + sign([]byte(testKey), "form", content), // a code for another purpose
	} {
		b.cookie = cookie
		if answer := b.get("/"); answer.Status != 303 || answer.Ended {
			t.Errorf("%s: %+v", cookie, answer)
		}
	}
	b.cookie = good
	if answer := b.get("/"); answer.Status != 200 {
		t.Errorf("%+v", answer)
	}
}

// TestExpiredCookies sends cookies of sessions that are over, and of users that are gone.
func TestExpiredCookies(t *testing.T) {
	w := newWorld(t)
	b := w.user("ada")
	for name, s := range map[string]session{
		"too old":   newSession("ada", 0, time.Now().Add(-sessionAge)),
		"next user": newSession("gone", 0, time.Now()),
		"epoch":     newSession("ada", 1, time.Now()),
	} {
		b.cookie = seal([]byte(testKey), s)
		if answer := b.get("/"); answer.Status != 303 {
			t.Errorf("%s: %+v", name, answer)
		}
	}
}

// TestLogoutEndsStolenSessions uses a copy of a cookie after its user has signed out.
func TestLogoutEndsStolenSessions(t *testing.T) {
	w := newWorld(t)
	b := w.user("ada")
	thief := &browser{world: w, cookie: b.cookie}
	if answer := thief.get("/"); answer.Status != 200 {
		t.Fatalf("%+v", answer)
	}
	b.send("/logout")
	if answer := thief.get("/"); answer.Status != 303 {
		t.Errorf("%+v", answer)
	}
}

// TestCrossSiteRequests sends forms as pages of other sites can: with the user's cookie, and without a token.
func TestCrossSiteRequests(t *testing.T) {
	for _, header := range []map[string][]string{
		{"Sec-Fetch-Site": {"cross-site"}},
		{"Sec-Fetch-Site": {"same-site"}},
		{"Sec-Fetch-Site": {""}, "Origin": {"https://evil.example"}},
		{"Sec-Fetch-Site": {""}, "Origin": {"null"}},
		{"Sec-Fetch-Site": {""}, "Origin": {"https://notes.example.evil.example"}},
		{"Sec-Fetch-Site": {""}, "Origin": {"https://notes.example:444"}},
		{"Sec-Fetch-Site": {""}},
		{},
	} {
		w := newWorld(t)
		b := w.user("ada")
		for _, path := range []string{"/add", "/delete", "/logout"} {
			for _, given := range []string{"", "x", w.user(fmt.Sprint("eve-", len(w.values))).token} {
				before := w.values["user:ada"]
				answer := b.do("POST", path, url.Values{"token": {given}, "text": {"x"}, "days": {"1"}}, header)
				if answer.Status != 403 || w.values["user:ada"] != before {
					t.Errorf("%v %s with token %q: %+v", header, path, given, answer)
				}
			}
		}
		answer := b.do("POST", "/add", url.Values{"token": {b.token}, "text": {"x"}, "days": {"1"}}, map[string][]string{"Sec-Fetch-Site": {""}, "Origin": {"https://NOTES.example"}})
		if answer.Status != 303 {
			t.Errorf("%+v", answer)
		}
	}
}

// TestCrossSiteLogin signs a user in to an account of the attacker, which needs no token.
func TestCrossSiteLogin(t *testing.T) {
	w := newWorld(t)
	w.user("eve")
	b := &browser{world: w}
	answer := b.do("POST", "/login", url.Values{"name": {"eve"}, "password": {"correct horse"}}, map[string][]string{"Sec-Fetch-Site": {"cross-site"}})
	if answer.Status != 403 || b.cookie != "" {
		t.Errorf("%+v", answer)
	}
}

// TestStoredText stores texts that a browser would run. The page must have no tag but the service's own.
func TestStoredText(t *testing.T) {
	w := newWorld(t)
	b := w.user("ada")
	plain := strings.Count(b.page.Body, "<")
	for _, text := range []string{
		"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "' onmouseover='alert(1)", "</li></ul><form action=//evil.example>",
		"<!--", "]]>", "&lt;script&gt;", "\u2028<svg/onload=alert(1)>",
	} {
		b.get("/")
		if answer := b.send("/add", "text", text, "days", "1"); answer.Status != 303 {
			t.Fatalf("%+v", answer)
		}
		page := b.get("/").Body
		const perNote = 9 // tags of a note: li, small and form with their ends, two inputs, button with its end
		notes := len(w.record("user:ada").Notes)
		if got := strings.Count(page, "<") - plain; got != (perNote+1)*notes {
			t.Errorf("%s: %d tags for %d notes: %s", text, got, notes, page)
		}
	}
	policy := strings.Join(b.page.Header["content-security-policy"], ",")
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src") {
		t.Error(policy)
	}
}

// TestOtherUsersNotes deletes a note of another user by its id.
func TestOtherUsersNotes(t *testing.T) {
	w := newWorld(t)
	b := w.user("ada")
	b.send("/add", "text", "mine", "days", "1")
	id := w.record("user:ada").Notes[0].ID
	w.user("eve").send("/delete", "id", id)
	if len(w.record("user:ada").Notes) != 1 {
		t.Error("the note is gone")
	}
}

// TestGuessedPasswords tries passwords. After five wrong ones the right one is refused too, until a minute is over.
func TestGuessedPasswords(t *testing.T) {
	w := newWorld(t)
	w.user("ada")
	b := &browser{world: w}
	for range maxAttempts {
		if answer := b.send("/login", "name", "ada", "password", "wrong horse"); answer.Status != 401 {
			t.Fatalf("%+v", answer)
		}
	}
	if answer := b.send("/login", "name", "ada", "password", "correct horse"); answer.Status != 429 || b.cookie != "" {
		t.Fatalf("%+v", answer)
	}
	u := w.record("user:ada")
	u.Wait = time.Now()
	w.keep("user:ada", u)
	if answer := b.send("/login", "name", "ada", "password", "correct horse"); answer.Status != 303 {
		t.Errorf("%+v", answer)
	}
	if u := w.record("user:ada"); u.Attempts != 0 || !u.Wait.IsZero() {
		t.Errorf("%+v", u)
	}
}

// TestJobToken calls the job without the token.
func TestJobToken(t *testing.T) {
	w := newWorld(t)
	b := w.user("ada")
	for _, token := range []string{"", "x", storeToken, jobToken + "x", jobToken[:31]} {
		if answer := b.do("POST", "/jobs/sweep", nil, bearer(token)); answer.Status != 401 || w.calls != 0 {
			t.Errorf("%s: %+v", token, answer)
		}
	}
	if answer := b.do("POST", "/jobs/sweep", nil, map[string][]string{"Authorization": {"Basic " + jobToken}}); answer.Status != 401 {
		t.Errorf("%+v", answer)
	}
}

func TestPasswordsAreSaltedAndSlow(t *testing.T) {
	defer func(n int) { iterations = n }(iterations)
	a, b := hashPassword("correct horse"), hashPassword("correct horse")
	if a == b || !checkPassword(a, "correct horse") || checkPassword(a, "correct horsE") || checkPassword("", "") || checkPassword("$$", "") {
		t.Errorf("%s %s", a, b)
	}
	iterations = 3
	if !checkPassword(a, "correct horse") {
		t.Error("the hash does not keep its number of iterations")
	}
}

// FuzzUnseal accepts one cookie alone: the one that the service has made, which the fuzzer may find from its seed.
func FuzzUnseal(f *testing.F) {
	now := time.Unix(1_700_000_000, 0)
	good := seal([]byte(testKey), session{User: "ada", ID: "a", Until: now.Add(sessionAge).Unix()})
	f.Add(good)
	f.Add(good + "x")
	f.Add("e30.x")
	f.Fuzz(func(t *testing.T, sealed string) {
		if _, ok := unseal([]byte(testKey), sealed, now); ok != (sealed == good) {
			t.Errorf("unseal of %s returned %v", sealed, ok)
		}
	})
}
