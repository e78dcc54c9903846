package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
	"github.com/vespo-dev/vespo/guest-sdk/vespo"
)

func TestForward(t *testing.T) {
	answer := guesttest.Serve(&guesttest.Request{
		Method:   "POST",
		URI:      "/proxy/a/b?c=d",
		Prefix:   "/proxy",
		Body:     strings.NewReader("body"),
		Header:   map[string][]string{"X-Kept": {"1", "2"}, "Connection": {"close"}},
		Settings: map[string]string{"upstream": "https://up.example"},
		Outbound: func(r *guesttest.OutboundRequest) (*guesttest.OutboundAnswer, error) {
			if r.Method != "POST" || r.URI != "https://up.example/a/b?c=d" || r.Body != "body" {
				t.Errorf("%+v", r)
			}
			if len(r.Header["x-kept"]) != 2 || r.Header["connection"] != nil {
				t.Errorf("%v", r.Header)
			}
			return &guesttest.OutboundAnswer{Status: 418, Body: "tea", Header: map[string][]string{"X-Pot": {"1"}}}, nil
		},
	})
	if answer.Status != 418 || answer.Body != "tea" || answer.Header["x-pot"][0] != "1" {
		t.Errorf("%+v", answer)
	}
}

func TestForwardFails(t *testing.T) {
	for _, test := range []struct {
		err    error
		status int
	}{{vespo.ErrDenied, 403}, {vespo.ErrDeadline, 504}, {errors.New("dns"), 502}} {
		answer := guesttest.Serve(&guesttest.Request{
			Settings: map[string]string{"upstream": "https://up.example"},
			Outbound: func(*guesttest.OutboundRequest) (*guesttest.OutboundAnswer, error) { return nil, test.err },
		})
		if answer.Status != test.status || answer.Ended || len(answer.Log) != 1 {
			t.Errorf("%v: %+v", test.err, answer)
		}
	}
	if answer := guesttest.Serve(&guesttest.Request{}); answer.Status != 503 {
		t.Errorf("without a setting: %+v", answer)
	}
}
