package main

import (
	"strings"
	"testing"

	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
)

func TestItems(t *testing.T) {
	for _, test := range []struct {
		method, uri, body string
		status            int
		answer            string
	}{
		{"GET", "/shop/items", "", 200, `[{"id":1,"name":"honey","cents":450},{"id":2,"name":"wax","cents":300}]`},
		{"GET", "/shop/items/2", "", 200, `{"id":2,"name":"wax","cents":300}`},
		{"GET", "/shop/items/0", "", 404, `{"error":"no such item"}`},
		{"GET", "/shop/items/x", "", 404, `{"error":"no such item"}`},
		{"GET", "/shop/", "", 404, "404 page not found"},
		{"POST", "/shop/items", `{"name":"pollen","cents":700}`, 201, `{"id":3,"name":"pollen","cents":700}`},
		{"POST", "/shop/items", `{"name":"pollen"}`, 422, `{"error":"an item needs a name and a price"}`},
		{"POST", "/shop/items", `{`, 400, `{"error":"unexpected EOF"}`},
	} {
		answer := guesttest.Serve(&guesttest.Request{Method: test.method, URI: test.uri, Prefix: "/shop", Body: strings.NewReader(test.body)})
		if answer.Status != test.status || strings.TrimSpace(answer.Body) != test.answer {
			t.Errorf("%s %s %s: %d %s", test.method, test.uri, test.body, answer.Status, answer.Body)
		}
		items = items[:2] // in Vespo, the snapshot does this
	}
}
