package main

import (
	"strings"
	"testing"

	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
)

func TestFault(t *testing.T) {
	answer := guesttest.Serve(&guesttest.Request{URI: "/panic"})
	if !answer.Ended || answer.Body != "" || !strings.Contains(answer.Log[0].Text, "index out of range") {
		t.Errorf("%+v", answer)
	}
	answer = guesttest.Serve(&guesttest.Request{URI: "/late"})
	if !answer.Ended || answer.Body != "part\n" {
		t.Errorf("%+v", answer)
	}
	answer = guesttest.Serve(&guesttest.Request{URI: "/abort"})
	if !answer.Ended || len(answer.Log) != 0 {
		t.Errorf("%+v", answer)
	}
	answer = guesttest.Serve(&guesttest.Request{URI: "/"})
	if answer.Ended || answer.Status != 404 {
		t.Errorf("%+v", answer)
	}
}
