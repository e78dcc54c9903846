package wasm_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// spendable is a writer of a server that reuses requests.
type spendable struct {
	*httptest.ResponseRecorder
	spent bool
}

func (s *spendable) Spent() { s.spent = true }

// TestSpentRequests checks which requests the server may reuse: those that a guest has served alone, without a goroutine of
// the host that may use them later.
func TestSpentRequests(t *testing.T) {
	s := newServer(t, wasm.Config{})
	hello := guests.Wat(t, "hello")
	s.add("/hello", hello)
	s.add("/echo", guests.Wat(t, "echo"))
	s.add("/trap", guests.Wat(t, "tinypanic"))
	s.add("/component", guests.Wat(t, "p2linger"))
	s.add("/calls", hello, servicetest.WithAllow("http://127.0.0.1:1"))
	s.add("/behind", hello, servicetest.WithMiddleware(nil, layerModule(passOnCode, nothingCode)))
	s.add("/before", hello, servicetest.WithMiddleware(nil, hello))
	for _, c := range []struct {
		method, path string
		want         bool
	}{
		{"GET", "/hello", true}, {"HEAD", "/hello", true}, {"GET", "/echo", true}, {"POST", "/echo", false}, {"POST", "/hello", false}, {"GET", "/trap", false},
		{"GET", "/component", false}, {"GET", "/calls", false}, {"GET", "/behind", false}, {"GET", "/before", false}, {"GET", "/none", false},
	} {
		body := ""
		if c.method == "POST" {
			body = "body"
		}
		w := &spendable{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(body))
		if body == "" {
			r.Body = http.NoBody
		}
		s.Router.ServeHTTP(w, r)
		require.Equal(t, c.want, w.spent, "%s %s: %d", c.method, c.path, w.Code)
	}
}
