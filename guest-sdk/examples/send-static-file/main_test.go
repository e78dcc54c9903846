package main

import (
	"os"
	"strconv"
	"testing"

	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
)

func TestSend(t *testing.T) {
	file, err := os.ReadFile("page.html")
	if err != nil {
		t.Fatal(err)
	}
	answer := guesttest.Serve(&guesttest.Request{})
	if answer.Status != 200 || answer.Body != string(file) || answer.Header["content-length"][0] != strconv.Itoa(len(file)) {
		t.Errorf("GET: %+v", answer)
	}
	tag := answer.Header["etag"][0]
	answer = guesttest.Serve(&guesttest.Request{Method: "HEAD"})
	if answer.Status != 200 || answer.Body != "" || answer.Header["content-length"][0] != strconv.Itoa(len(file)) {
		t.Errorf("HEAD: %+v", answer)
	}
	answer = guesttest.Serve(&guesttest.Request{Method: "POST"})
	if answer.Status != 405 || answer.Header["allow"][0] != "GET, HEAD" {
		t.Errorf("POST: %+v", answer)
	}
	for ifNoneMatch, status := range map[string]int{
		tag: 304, "W/" + tag: 304, `"other", ` + tag: 304, "*": 304, `"other"`: 200, "": 200, tag[1:]: 200,
	} {
		answer = guesttest.Serve(&guesttest.Request{Header: map[string][]string{"If-None-Match": {ifNoneMatch}}})
		if answer.Status != status || status == 304 && (answer.Body != "" || answer.Header["etag"][0] != tag) {
			t.Errorf("If-None-Match %s: %+v", ifNoneMatch, answer)
		}
	}
}

func TestTag(t *testing.T) {
	if tag("a") == tag("b") {
		t.Errorf("%s, %s", tag("a"), tag("b"))
	}
}
