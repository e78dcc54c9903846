package main

import (
	"testing"

	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
)

func TestHello(t *testing.T) {
	answer := guesttest.Serve(&guesttest.Request{URI: "/there?x"})
	if answer.Status != 200 || answer.Body != "hello from /there\n" {
		t.Errorf("%+v", answer)
	}
}
