package main

import (
	"testing"

	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
)

func TestGate(t *testing.T) {
	config := []byte(`{"abc": "ada"}`)
	behind := &guesttest.Answer{Status: 201, Body: "made\n", Header: map[string][]string{"x-own": {"1"}}}
	request := func(key string) *guesttest.Request {
		return &guesttest.Request{Config: config, Behind: behind, Header: map[string][]string{"X-Key": {key}}}
	}
	for _, key := range []string{"", "wrong"} {
		if a := guesttest.Serve(request(key)); a.Status != 401 || a.Passed || a.Body != "a key is needed\n" {
			t.Errorf("key %q: %+v", key, a)
		}
	}
	a := guesttest.Serve(request("abc"))
	if a.Status != 201 || !a.Passed || a.Body != "made\n" || a.Header["x-own"][0] != "1" || a.Header["x-served-for"][0] != "ada" {
		t.Errorf("with a key: %+v", a)
	}
	behind.Ended = true
	if a := guesttest.Serve(request("abc")); a.Status != 502 || a.Body != "the service has failed\n" {
		t.Errorf("in front of a service that fails: %+v", a)
	}
}
