package main

import (
	"strings"
	"testing"

	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
)

func TestEcho(t *testing.T) {
	body := strings.Repeat("echo", 10_000)
	answer := guesttest.Serve(&guesttest.Request{
		Method: "POST",
		Body:   strings.NewReader(body),
		Header: map[string][]string{"Content-Type": {"text/x"}},
	})
	if answer.Body != body || answer.Header["content-type"][0] != "text/x" || answer.Trailer["x-body-bytes"][0] != "40000" {
		t.Errorf("%d bytes, %v, %v", len(answer.Body), answer.Header, answer.Trailer)
	}
}
