package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
)

var settings = map[string]string{"token.alice": "wonder:land", "token.admin": "root", "token.nobody": "", "token.": "x"}

func TestAuth(t *testing.T) {
	for _, test := range []struct {
		path, authorization string
		status              int
		body                string
	}{
		{"", "", 200, "try whoami, with a token\n"},
		{"/whoami", "Bearer alice:wonder:land", 200, "you are alice\n"},
		{"/whoami", "bearer  admin:root", 200, "you are admin\n"},
		{"/whoami", "", 401, "a valid token is needed\n"},
		{"/whoami", "Bearer", 401, "a valid token is needed\n"},
		{"/whoami", "Bearer alice", 401, "a valid token is needed\n"},
		{"/whoami", "Bearer alice:wonder", 401, "a valid token is needed\n"},
		{"/whoami", "Bearer bob:wonder:land", 401, "a valid token is needed\n"},
		{"/whoami", "Bearer nobody:", 401, "a valid token is needed\n"},
		{"/whoami", "Bearer unknown:", 401, "a valid token is needed\n"},
		{"/whoami", "Bearer :x", 401, "a valid token is needed\n"},
		{"/whoami", "Basic alice:wonder:land", 401, "a valid token is needed\n"},
		{"/admin", "Bearer alice:wonder:land", 403, "this is not for you\n"},
		{"/admin", "Bearer admin:root", 200, "here is everything\n"},
		{"/admin", "", 401, "a valid token is needed\n"},
	} {
		answer := guesttest.Serve(&guesttest.Request{
			URI:      "/auth" + test.path,
			Prefix:   "/auth",
			Settings: settings,
			Header:   map[string][]string{"Authorization": {test.authorization}},
		})
		if answer.Status != test.status || answer.Body != test.body {
			t.Errorf("%s with %q: %+v", test.path, test.authorization, answer)
		}
		if challenged := answer.Header["www-authenticate"] != nil; challenged != (test.status == 401) {
			t.Errorf("%s with %q: %v", test.path, test.authorization, answer.Header)
		}
	}
}

// TestMiddlewareAlone tests the middleware without a guest. It is ordinary net/http code.
func TestMiddlewareAlone(t *testing.T) {
	called := false
	next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { called = userOf(r) == "u" })
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer u:s")
	authenticate(func(user string) (string, bool) { return "s", user == "u" }, next).ServeHTTP(httptest.NewRecorder(), r)
	if !called {
		t.Error("the handler was not called, or not told the user")
	}
}
