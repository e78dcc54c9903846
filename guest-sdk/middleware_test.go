package guest_test

import (
	"io"
	"strings"
	"testing"

	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
)

// onResponse registers a response handler until the test ends. BufferResponse is called by an init function of this
// package's examples.
func onResponse(t *testing.T, h guest.ResponseHandler) {
	t.Helper()
	previous := guest.SwapResponseHandler(h)
	t.Cleanup(func() { guest.SwapResponseHandler(previous) })
}

func pass(_ *guest.Response, r *guest.Request) { r.Pass() }

func TestPassedRequests(t *testing.T) {
	request := &guesttest.Request{URI: "/a", Behind: &guesttest.Answer{Status: 202, Body: strings.Repeat("behind ", 3000), Header: map[string][]string{"X": {"1"}}}}
	onResponse(t, func(w *guest.Response, r *guest.Request, failed bool) {
		if w.Status() != 202 || failed || r.URI() != "/b?c" || r.Method() != "PUT" || w.Header.Get("x") != "1" {
			t.Errorf("sees %d %v %s %s", w.Status(), failed, r.Method(), r.URI())
		}
		body, err := io.ReadAll(w)
		if err != nil || string(body) != request.Behind.Body {
			t.Errorf("reads %d bytes, %v", len(body), err)
		}
		w.SetStatus(203)
		w.Header.Set("X", "2")
		w.WriteString("instead")
	})
	answer := guesttest.ServeWith(func(_ *guest.Response, r *guest.Request) {
		r.SetMethod("PUT")
		r.SetURI("/b?c")
		r.Pass()
	}, request)
	if answer.Status != 203 || answer.Body != "instead" || answer.Header["x"][0] != "2" || !answer.Passed {
		t.Errorf("%+v", answer)
	}
}

func TestResponsesAreLeftAlone(t *testing.T) {
	onResponse(t, func(*guest.Response, *guest.Request, bool) {})
	answer := guesttest.ServeWith(pass, &guesttest.Request{Behind: &guesttest.Answer{Body: "behind", Trailer: map[string][]string{"T": {"1"}}}})
	if answer.Status != 200 || answer.Body != "behind" || answer.Trailer["t"][0] != "1" || answer.Ended {
		t.Errorf("%+v", answer)
	}
	if answer = guesttest.ServeWith(pass, &guesttest.Request{}); answer.Status != 404 || !answer.Passed {
		t.Errorf("nothing is behind: %+v", answer)
	}
	// The response handler is not called for a request that is not passed on, even if the previous request was.
	onResponse(t, func(*guest.Response, *guest.Request, bool) { t.Error("called") })
	if answer = guesttest.ServeWith(func(*guest.Response, *guest.Request) {}, &guesttest.Request{}); answer.Passed {
		t.Errorf("%+v", answer)
	}
}

func TestFailuresBehindAreTold(t *testing.T) {
	onResponse(t, func(w *guest.Response, _ *guest.Request, failed bool) {
		if failed {
			w.Text(503, "later")
		}
	})
	answer := guesttest.ServeWith(pass, &guesttest.Request{Behind: &guesttest.Answer{Ended: true, Status: 500}})
	if answer.Status != 503 || answer.Body != "later" {
		t.Errorf("%+v", answer)
	}
	onResponse(t, func(*guest.Response, *guest.Request, bool) { panic("in the response") })
	answer = guesttest.ServeWith(pass, &guesttest.Request{Behind: &guesttest.Answer{Body: "behind"}})
	if !answer.Ended || answer.Status != 500 || len(answer.Log) != 1 || !strings.Contains(answer.Log[0].Text, "in the response") {
		t.Errorf("%+v", answer)
	}
}
