package main

import (
	"strings"
	"testing"

	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
)

func TestNotes(t *testing.T) {
	stores := map[string]*guesttest.Store{"notes": {}}
	for _, step := range []struct {
		method, uri, body string
		header            map[string][]string
		status            int
		want              string
	}{
		{"GET", "/notes", "", nil, 200, ""},
		{"GET", "/notes/a", "", nil, 404, "not present"},
		{"PUT", "/notes/b", "wax", nil, 204, ""},
		{"PUT", "/notes/a", "honey", nil, 204, ""},
		{"PUT", "/notes/a", "other", map[string][]string{"If-None-Match": {"*"}}, 412, "another version"},
		{"GET", "/notes/a", "", nil, 200, "honey"},
		{"GET", "/notes", "", nil, 200, "a {\"bytes\":5}\nb {\"bytes\":3}\n"},
		{"DELETE", "/notes/a", "", nil, 200, ""},
		{"GET", "/notes/a", "", nil, 404, "not present"},
		{"PUT", "/notes/" + strings.Repeat("x", 600), "long", nil, 400, "too large"},
		{"GET", "/visits", "", nil, 200, "1\n"},
		{"GET", "/visits", "", nil, 200, "2\n"},
		{"GET", "/", "", nil, 404, "use"},
	} {
		answer := guesttest.Serve(&guesttest.Request{
			Method: step.method,
			URI:    step.uri,
			Header: step.header,
			Body:   strings.NewReader(step.body),
			Stores: stores,
		})
		if answer.Status != step.status || !strings.Contains(answer.Body, step.want) {
			t.Errorf("%s %s: %d %q", step.method, step.uri, answer.Status, answer.Body)
		}
	}
	if answer := guesttest.Serve(&guesttest.Request{URI: "/visits"}); answer.Status != 503 {
		t.Errorf("without a store: %d", answer.Status)
	}
}
