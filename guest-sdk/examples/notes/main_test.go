package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
)

// TestApplication does what a user does.
func TestApplication(t *testing.T) {
	w := newWorld(t)
	b := &browser{world: w}
	if answer := b.get("/"); answer.Status != 303 || answer.Header["location"][0] != "/notes/login" {
		t.Fatalf("%+v", answer)
	}
	if answer := b.get("/login"); answer.Status != 200 || !strings.Contains(answer.Body, `action="/notes/register"`) {
		t.Fatalf("%+v", answer)
	}
	b = w.user("ada")
	for _, text := range []string{"first", "second"} {
		if answer := b.send("/add", "text", text, "days", "3"); answer.Status != 303 {
			t.Fatalf("%+v", answer)
		}
	}
	until := time.Now().UTC().AddDate(0, 0, 3).Format("2006-01-02")
	page := b.get("/").Body
	if !strings.Contains(page, "first <small>until "+until) || !strings.Contains(page, "98 notes left") {
		t.Fatal(page)
	}
	id := regexp.MustCompile(`name="id" value="([^"]+)"`).FindStringSubmatch(page)[1]
	b.send("/delete", "id", id)
	if page = b.get("/").Body; strings.Contains(page, "first") || !strings.Contains(page, "second") {
		t.Fatal(page)
	}
	if answer := b.send("/logout"); answer.Status != 303 || b.cookie != "" {
		t.Fatalf("%+v", answer)
	}
	if answer := b.send("/login", "name", "ada", "password", "correct horse"); answer.Status != 303 {
		t.Fatalf("%+v", answer)
	}
	if page = b.get("/").Body; !strings.Contains(page, "second") {
		t.Fatal(page)
	}
}

func TestInvalidForms(t *testing.T) {
	w := newWorld(t)
	b := w.user("ada")
	long := strings.Repeat("x", 1001)
	for _, test := range []struct {
		status int
		path   string
		fields []string
	}{
		{422, "/register", []string{"name", "", "password", "correct horse"}},
		{422, "/register", []string{"name", "a/../b", "password", "correct horse"}},
		{422, "/register", []string{"name", "Ada", "password", "correct horse"}},
		{422, "/register", []string{"name", "a!b", "password", "correct horse"}},
		{422, "/register", []string{"name", strings.Repeat("a", 33), "password", "correct horse"}},
		{422, "/register", []string{"name", "bob", "password", "short"}},
		{422, "/register", []string{"name", "bob", "password", long}},
		{409, "/register", []string{"name", "ada", "password", "another password"}},
		{401, "/login", []string{"name", "nobody", "password", "correct horse"}},
		{401, "/login", []string{"name", "../ada", "password", "correct horse"}},
		{401, "/login", []string{"name", "ada", "password", "wrong horse"}},
		{422, "/add", []string{"text", " ", "days", "1"}},
		{422, "/add", []string{"text", long, "days", "1"}},
		{422, "/add", []string{"text", "\xff", "days", "1"}},
		{422, "/add", []string{"text", "x", "days", "0"}},
		{422, "/add", []string{"text", "x", "days", "366"}},
		{422, "/add", []string{"text", "x", "days", "soon"}},
		{400, "/add", []string{"text", strings.Repeat(long, 20)}},
		{404, "/elsewhere", nil},
	} {
		if answer := b.send(test.path, test.fields...); answer.Status != test.status || answer.Ended {
			t.Errorf("%s %.100q: %+v", test.path, test.fields, answer)
		}
	}
	if page := b.get("/").Body; !strings.Contains(page, "100 notes left") {
		t.Error(page)
	}
}

func TestNumberOfNotesIsLimited(t *testing.T) {
	w := newWorld(t)
	b := w.user("ada")
	for range maxNotes {
		if answer := b.send("/add", "text", "x", "days", "1"); answer.Status != 303 {
			t.Fatalf("%+v", answer)
		}
	}
	if answer := b.send("/add", "text", "x", "days", "1"); answer.Status != 422 {
		t.Fatalf("%+v", answer)
	}
}

// TestConcurrentChanges lets another request change the record between reading and writing.
func TestConcurrentChanges(t *testing.T) {
	for _, test := range []struct{ others, status, notes int }{
		{0, 303, 1},
		{1, 303, 2},
		{4, 303, 5},
		{5, 503, 5},
	} {
		w := newWorld(t)
		b := w.user("ada")
		left := test.others
		w.before = func(key string) {
			if left > 0 {
				left--
				u := w.record(key)
				u.Notes = append(u.Notes, noteUntil("other", time.Hour))
				w.keep(key, u)
			}
		}
		if answer := b.send("/add", "text", "mine", "days", "1"); answer.Status != test.status {
			t.Errorf("%+v: %+v", test, answer)
		}
		if notes := w.record("user:ada").Notes; len(notes) != test.notes {
			t.Errorf("%+v: %+v", test, notes)
		}
		if w.calls > 32 {
			t.Errorf("%d calls", w.calls)
		}
	}
}

func (w *world) record(key string) (u user) {
	if err := json.Unmarshal([]byte(w.values[key]), &u); err != nil {
		w.t.Fatal(err)
	}
	return u
}

func (w *world) keep(key string, u user) {
	value, err := json.Marshal(u)
	if err != nil {
		w.t.Fatal(err)
	}
	w.set(key, string(value))
}

// TestSweep removes the expired notes of more users than one run of the job has.
func TestSweep(t *testing.T) {
	w := newWorld(t)
	notes := []note{noteUntil("over", -time.Hour), noteUntil("kept", time.Hour)}
	for i := range 25 {
		w.keep(fmt.Sprintf("user:u%02d", i), user{Password: "x", Notes: notes})
	}
	b := &browser{world: w}
	after, runs := "", 0
	for ; runs == 0 || after != ""; runs++ {
		answer := b.do("POST", "/jobs/sweep", map[string][]string{"after": {after}}, bearer(jobToken))
		if answer.Status != 200 || w.calls > 32 {
			t.Fatalf("%d calls: %+v", w.calls, answer)
		}
		_, after, _ = strings.Cut(answer.Body, "after ")
		after = strings.TrimSpace(after)
	}
	if runs != 3 {
		t.Errorf("%d runs", runs)
	}
	for key := range w.values {
		if notes := w.record(key).Notes; len(notes) != 1 || notes[0].Text != "kept" {
			t.Errorf("%s: %+v", key, notes)
		}
	}
}

func noteUntil(text string, left time.Duration) note {
	return note{ID: text, Text: text, Until: time.Now().Add(left)}
}

func bearer(token string) map[string][]string {
	return map[string][]string{"Authorization": {"Bearer " + token}, "Sec-Fetch-Site": {""}}
}

func TestStoreFails(t *testing.T) {
	w := newWorld(t)
	b := w.user("ada")
	w.status = 500
	for _, path := range []string{"/add", "/login", "/logout", "/delete"} {
		if answer := b.send(path, "name", "ada", "password", "correct horse"); answer.Status != 502 || len(answer.Log) != 1 {
			t.Errorf("%s: %+v", path, answer)
		}
	}
}

func TestSettingsAreNeeded(t *testing.T) {
	answer := guesttest.Serve(&guesttest.Request{Settings: map[string]string{"key": "short"}})
	if answer.Status != 503 || len(answer.Log) != 1 || strings.Contains(answer.Log[0].Text, "short\"") {
		t.Errorf("%+v", answer)
	}
}
