package router

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// spendable is a writer of a server that reuses requests.
type spendable struct {
	*httptest.ResponseRecorder
	spent int
}

func (s *spendable) Spent() { s.spent++ }

// TestSpent checks that the server may reuse a request only if the handler and the router keep nothing of it.
func TestSpent(t *testing.T) {
	spend := func(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
		r.Spent()
		_, err := w.Write([]byte("answer"))
		return err
	}
	for name, c := range map[string]struct {
		handler HandlerFunc
		change  func(r *http.Request)
		mirror  bool
		want    int
	}{
		"promised": {handler: spend, want: 1},
		"by a copy of the request": {handler: func(w http.ResponseWriter, r *Request, res *accesslog.Result) error {
			return spend(w, r.With(r.Request), res)
		}},
		"not promised": {handler: say("answer")},
		"kept": {handler: func(w http.ResponseWriter, r *Request, res *accesslog.Result) error {
			r.Keep()
			return spend(w, r, res)
		}},
		"broken off": {handler: func(w http.ResponseWriter, r *Request, res *accesslog.Result) error {
			return errors.Join(spend(w, r, res), errors.New("broken"))
		}},
		"with a report": {handler: spend, change: func(r *http.Request) { r.Header[httpfield.ReportHeader] = []string{"1"} }},
		"mirrored":      {handler: spend, mirror: true},
	} {
		t.Run(name, func(t *testing.T) {
			key := routekey.Key{Prefix: "/a"}
			route := NewRoute(Binding{Key: key, Service: "a", Handler: c.handler})
			if c.mirror {
				other := NewRoute(Binding{Key: key, Service: "a", Handler: say("other")})
				route = NewSplit(key, Split{
					Arms:   []Arm{{Route: route, Weight: Whole}},
					Own:    route,
					Mirror: &Mirror{Route: other, Weight: Whole, Offer: func(*Copy) {}},
				})
			}
			table, err := BuildTable([]*Route{route})
			require.NoError(t, err)
			rt := New(Config{MayReport: func(*Request, routekey.Key, []string) error { return nil }})
			rt.Publish(table)
			for range 3 {
				r := httptest.NewRequest(http.MethodGet, "/a", nil)
				if c.change != nil {
					c.change(r)
				}
				w := &spendable{ResponseRecorder: httptest.NewRecorder()}
				func() {
					defer func() { _ = recover() }() // of the response that is broken off
					rt.ServeHTTP(w, r)
				}()
				require.Equal(t, c.want, w.spent)
				require.True(t, strings.HasPrefix(w.Body.String(), "answer"))
				require.Equal(t, http.StatusOK, w.Code)
			}
		})
	}
}
