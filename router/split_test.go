package router

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// splitTable returns a table of one service whose arms answer with their numbers, and the split.
func splitTable(t testing.TB, s Split, weights ...int) (*Table, *Split) {
	t.Helper()
	key := routekey.MustParse("/a")
	for i, weight := range weights {
		text := fmt.Sprint(i + 1)
		handler := func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
			_, err := w.Write([]byte(text))
			return err
		}
		r := NewRoute(Binding{
			Key:     key,
			Service: "/a",
			Number:  uint64(i + 1),
			Handler: HandlerFunc(handler),
		})
		s.Arms = append(s.Arms, Arm{Route: r, Weight: weight})
	}
	s.Own = s.Arms[0].Route
	table, err := BuildTable([]*Route{NewSplit(key, s)})
	require.NoError(t, err)
	return table, &s
}

// requested sends a request and returns the answer.
func requested(rt *Router, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/a", nil)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	rt.ServeHTTP(w, r)
	return w
}

func TestSplitFollowsTheWeights(t *testing.T) {
	numbers := make(map[uint64]int)
	rt := New(Config{AccessLog: func(rec *accesslog.Record) { numbers[rec.Number]++ }})
	table, s := splitTable(t, Split{}, 900, 99, 1)
	rt.Publish(table)
	for range 10_000 {
		requested(rt, nil)
	}
	require.InDelta(t, 9000, numbers[1], 200)
	require.InDelta(t, 990, numbers[2], 200)
	require.InDelta(t, 10, numbers[3], 30)
	for i, arm := range s.Arms {
		require.EqualValues(t, numbers[uint64(i+1)], arm.Route.Stats().Requests)
		require.Zero(t, arm.Route.InUse())
	}
}

// A client stays at its version, also while the share of the new version grows, until it is the client's turn.
func TestSplitIsSticky(t *testing.T) {
	for _, sticky := range []Sticky{{Header: "X-User"}, {Cookie: "user"}} {
		share := func(weight int, user string) string {
			rt := New(Config{})
			table, _ := splitTable(t, Split{Sticky: sticky}, 1000-weight, weight)
			rt.Publish(table)
			w := requested(rt, func(r *http.Request) {
				if sticky.Header != "" {
					r.Header.Set(sticky.Header, user)
				} else {
					r.Header.Set("Cookie", "other=x; user="+user)
				}
			})
			require.Empty(t, w.Header().Values("Set-Cookie"))
			return w.Body.String()
		}
		second := 0
		for i := range 1000 {
			user := fmt.Sprint("user-", i)
			before := share(100, user)
			require.Equal(t, before, share(100, user))
			if before == "2" {
				second++
				require.Equal(t, "2", share(500, user))
			}
		}
		require.InDelta(t, 100, second, 50)
	}
}

// A client without the cookie gets one, and stays with it.
func TestSplitSetsTheCookie(t *testing.T) {
	rt := New(Config{})
	table, _ := splitTable(t, Split{Sticky: Sticky{Cookie: "arm"}}, 500, 500)
	rt.Publish(table)
	for range 50 {
		first := requested(rt, nil)
		set := first.Header().Get("Set-Cookie")
		require.True(t, strings.HasPrefix(set, "arm=") && strings.HasSuffix(set, "; Path=/a; HttpOnly; SameSite=Lax"), set)
		cookie, _, _ := strings.Cut(set, ";")
		again := requested(rt, func(r *http.Request) { r.Header.Set("Cookie", cookie) })
		require.Equal(t, first.Body.String(), again.Body.String())
		require.Empty(t, again.Header().Get("Set-Cookie"))
	}
}

// Requests of the server itself, such as those of schedules, go to the current version.
func TestSplitServesOwnRequestsByTheCurrentVersion(t *testing.T) {
	rt := New(Config{})
	_, s := splitTable(t, Split{}, 500, 500)
	s.Own = s.Arms[1].Route
	table, err := BuildTable([]*Route{NewSplit(routekey.MustParse("/a"), *s)})
	require.NoError(t, err)
	rt.Publish(table)
	for range 50 {
		w := httptest.NewRecorder()
		require.NoError(t, rt.DispatchOwn(Own{Key: routekey.MustParse("/a")}, w, httptest.NewRequest(http.MethodGet, "/a", nil)))
		require.Equal(t, "2", w.Body.String())
	}
}

// Tables change while requests are served, and the arms that leave are retired: no request is lost.
func TestSplitsChangeUnderLoad(t *testing.T) {
	rt := New(Config{})
	table, s := splitTable(t, Split{}, 500, 500)
	rt.Publish(table)
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if w := requested(rt, nil); w.Code != http.StatusOK {
					t.Error(w.Code, w.Body.String())
					return
				}
			}
		})
	}
	for range 300 {
		old := s
		table, s = splitTable(t, Split{}, 500, 500)
		rt.Publish(table)
		for _, arm := range old.Arms {
			arm.Route.Retire()
			<-arm.Route.Drained()
		}
	}
	close(stop)
	clients.Wait()
}

func TestChoiceAllocatesNothing(t *testing.T) {
	for _, sticky := range []Sticky{{}, {Header: "X-User"}, {Cookie: "arm"}} {
		_, s := splitTable(t, Split{Sticky: sticky}, 900, 100)
		r := httptest.NewRequest(http.MethodGet, "/a", nil)
		r.Header.Set("X-User", "ada")
		r.Header.Set("Cookie", "a=b; arm=7f")
		x := &exchange{request: Request{Request: r}}
		require.Zero(t, testing.AllocsPerRun(100, func() { s.choose(x) }))
	}
}

func BenchmarkChoose(b *testing.B) {
	for name, sticky := range map[string]Sticky{"random": {}, "header": {Header: "X-User"}, "cookie": {Cookie: "arm"}} {
		b.Run(name, func(b *testing.B) {
			_, s := splitTable(b, Split{Sticky: sticky}, 900, 100)
			r := httptest.NewRequest(http.MethodGet, "/a", nil)
			r.Header.Set("X-User", "ada")
			r.Header.Set("Cookie", "a=b; arm=7f")
			x := &exchange{request: Request{Request: r}}
			for b.Loop() {
				s.choose(x)
			}
		})
	}
}

// Each record goes to the listener of its route, or to that of requests without one.
func TestRecordsGoToTheListenersOfTheirRoutes(t *testing.T) {
	counts := make(map[string]int)
	count := func(name string) accesslog.Listener {
		return func(rec *accesslog.Record) { counts[fmt.Sprint(name, " ", rec.Number, " ", rec.Status)]++ }
	}
	table, s := splitTable(t, Split{}, Whole/2, Whole/2)
	waiting := NewRoute(Binding{
		Key:     routekey.MustParse("/w"),
		Service: "/w",
		Number:  3,
		Handler: say(""),
		Await:   func(context.Context) error { return problem.New(problem.NotReady, "not yet") },
	})
	table, err := BuildTable(append(table.Routes(), waiting))
	require.NoError(t, err)
	rt := New(Config{
		Admin:    http.NotFoundHandler(),
		Unserved: count("none"),
		Follow: func(*Table) {
			for i, arm := range s.Arms {
				arm.Route.Observe(count(fmt.Sprint("arm ", i+1)))
			}
			waiting.Observe(count("waiting"))
		},
	})
	requested(rt, nil)
	rt.Publish(table)
	for range 100 {
		requested(rt, nil)
	}
	for _, path := range []string{"/nothing", "/w", "/services/list"} {
		requested(rt, func(r *http.Request) { r.URL.Path = path })
	}
	require.Equal(t, 100, counts["arm 1 1 200"]+counts["arm 2 2 200"])
	require.Positive(t, counts["arm 1 1 200"]*counts["arm 2 2 200"])
	require.Equal(t, []int{1, 2, 1}, []int{counts["none 0 503"], counts["none 0 404"], counts["waiting 3 503"]}, counts)
	require.Len(t, counts, 5)
}
