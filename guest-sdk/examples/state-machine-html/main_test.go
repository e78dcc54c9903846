package main

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
)

const key = "0123456789abcdef"

func ask(method string, form url.Values) *guesttest.Answer {
	return guesttest.Serve(&guesttest.Request{
		Method:   method,
		URI:      "/report",
		Prefix:   "/report",
		Body:     strings.NewReader(form.Encode()),
		Header:   map[string][]string{"Content-Type": {"application/x-www-form-urlencoded"}},
		Settings: map[string]string{"key": key},
	})
}

var stateInput = regexp.MustCompile(`name="state" value="([^"]+)"`)

func stateOf(t *testing.T, page string) string {
	t.Helper()
	found := stateInput.FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("no state in %s", page)
	}
	return found[1]
}

// TestForm completes the form as a browser does, with an invalid input and some steps back.
func TestForm(t *testing.T) {
	answer := ask("GET", nil)
	for _, step := range []struct {
		shows, action, answer string
		status                int
	}{
		{"Where is it?", "next", "moon", 422},
		{"Please choose a place.", "next", "ground", 200},
		{"How deep", "next", "deep", 200},
		{"How can we reach you?", "back", "", 200},
		{`value="deep" checked`, "back", "", 200},
		{`value="ground" checked`, "next", "roof", 200},
		{"How can we reach you?", "next", " <me>@example.com ", 200},
		{"<dd>roof</dd>", "back", "", 200},
		{`value="&lt;me&gt;@example.com"`, "next", "me@example.com", 200},
		{"<dd>me@example.com</dd>", "next", "", 200},
	} {
		if !strings.Contains(answer.Body, step.shows) {
			t.Fatalf("the page lacks %s: %s", step.shows, answer.Body)
		}
		answer = ask("POST", url.Values{"state": {stateOf(t, answer.Body)}, "action": {step.action}, "answer": {step.answer}})
		if answer.Status != step.status {
			t.Fatalf("%+v: %+v", step, answer)
		}
	}
	if !strings.Contains(answer.Body, "Your report has the number ") || strings.Contains(answer.Body, "<form") {
		t.Errorf("%s", answer.Body)
	}
}

func TestForgedStates(t *testing.T) {
	good := seal([]byte(key), newReport(time.Now()))
	done := seal([]byte("another key of 16"), report{Step: stepDone, Begun: time.Now()})
	content, signature, _ := strings.Cut(good, ".")
	for _, state := range []string{"", ".", content, content + ".", "." + signature, content + "x." + signature, good + "A", done, content + "." + content} {
		if answer := ask("POST", url.Values{"state": {state}, "action": {"next"}, "answer": {"roof"}}); answer.Status != 400 || answer.Ended {
			t.Errorf("%s: %+v", state, answer)
		}
	}
}

func TestOldStates(t *testing.T) {
	old := newReport(time.Now().Add(-maxAge - time.Second))
	old.Step = stepConfirm
	answer := ask("POST", url.Values{"state": {seal([]byte(key), old)}, "action": {"next"}})
	if answer.Status != 200 || !strings.Contains(answer.Body, "waited for too long") || !strings.Contains(answer.Body, "Where is it?") {
		t.Errorf("%+v", answer)
	}
}

func TestKeyIsNeeded(t *testing.T) {
	for _, settings := range []map[string]string{nil, {"key": "short"}} {
		answer := guesttest.Serve(&guesttest.Request{Settings: settings})
		if answer.Status != 503 || len(answer.Log) != 1 {
			t.Errorf("%v: %+v", settings, answer)
		}
	}
}

// TestMachine tries every action in every step. The step must change if there is no problem, and the state must not
// change if there is one.
func TestMachine(t *testing.T) {
	steps := []step{stepPlace, stepDepth, stepContact, stepConfirm, stepDone}
	for _, from := range steps {
		for _, action := range []string{"next", "back", "", "jump"} {
			for _, answer := range []string{"", "roof", ground, "deep", strings.Repeat("é", 200), strings.Repeat("é", 201)} {
				at := report{Step: from, Place: ground, Contact: "me"}
				next, problem := at.after(action, answer)
				if (problem != "") != (next.Step == from) {
					t.Errorf("%s, %s %.10q: to %s, %q", from, action, answer, next.Step, problem)
				}
				if problem != "" && next != at {
					t.Errorf("%s, %s %.10q: changed to %+v though %q", from, action, answer, next, problem)
				}
			}
		}
	}
}

// FuzzUnseal accepts one state alone: the one that the service has made, which the fuzzer may find from its seed.
func FuzzUnseal(f *testing.F) {
	now := time.Unix(1_700_000_000, 0)
	good := seal([]byte(key), report{ID: "a", Begun: now.UTC(), Step: stepPlace})
	f.Add(good)
	f.Add(good + "x")
	f.Add("a.b")
	f.Fuzz(func(t *testing.T, sealed string) {
		if _, err := unseal([]byte(key), sealed, now); (err == nil) != (sealed == good) {
			t.Errorf("unseal of %s returned %v", sealed, err)
		}
	})
}
