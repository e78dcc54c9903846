package main

import (
	"testing"

	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
)

func TestEvents(t *testing.T) {
	answer := guesttest.Serve(&guesttest.Request{URI: "/?n=2"})
	if answer.Body != "id: 1\ndata: event 1\n\nid: 2\ndata: event 2\n\n" || answer.Writes != 2 {
		t.Errorf("%+v", answer)
	}
	if answer.Header["content-type"][0] != "text/event-stream" {
		t.Errorf("%v", answer.Header)
	}
}
