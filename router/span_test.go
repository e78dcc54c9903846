package router

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/internal/span"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/router/forwarded"
)

const (
	tracedParent   = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	unsampled      = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
	begunParent    = "00-11111111111111111111111111111111-2222222222222222-01"
	admissionTrace = "00-11111111111111111111111111111111-3333333333333333-01"
)

// spans is a tracer that remembers its spans. It samples all requests without an unsampled parent.
type spans struct {
	mu      sync.Mutex
	parents []string
	all     []*recorded
}

// recorded implements span.Recorder.
type recorded struct {
	of     *spans
	name   string
	text   map[string]string
	start  time.Time
	end    time.Time
	failed string
	parent string
}

func (s *spans) Begin(h http.Header, at time.Time) *span.Span {
	s.parents = append(s.parents, h.Get(span.ParentField))
	if h.Get(span.ParentField) == unsampled {
		return nil
	}
	begun := span.New(s.add(begunParent, "begun", at))
	begun.Inject(h)
	return begun
}

func (s *spans) add(parent, name string, at time.Time) *recorded {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &recorded{of: s, name: name, text: map[string]string{}, start: at, parent: parent}
	s.all = append(s.all, r)
	return r
}

func (r *recorded) Child(_ span.Kind, name string, at time.Time) span.Recorder {
	return r.of.add(admissionTrace, name, at)
}
func (r *recorded) Rename(name string)               { r.name = name }
func (r *recorded) Text(key, value string)           { r.text[key] = value }
func (r *recorded) Number(string, int64)             {}
func (r *recorded) Seconds(string, time.Duration)    {}
func (r *recorded) Fail(reason string)               { r.failed = reason }
func (r *recorded) End(at time.Time)                 { r.end = at }
func (r *recorded) Context() (parent, traced string) { return r.parent, "" }

// TestSpansOfRequests checks what services and records see of a trace, and what the spans have.
func TestSpansOfRequests(t *testing.T) {
	for name, c := range map[string]struct {
		method, path, parent string
		fail                 error
		status               int
		begins, sees, trace  string
		names                []string
		failed               string
	}{
		"a new trace": {
			method: "GET",
			path:   "/a/x",
			sees:   begunParent,
			trace:  begunParent[3:35],
			names:  []string{"GET /a", "admission"},
		},
		"one of a client": {
			method: "GET",
			path:   "/a",
			parent: tracedParent,
			begins: tracedParent,
			sees:   begunParent,
			trace:  tracedParent[3:35],
			names:  []string{"GET /a", "admission"},
		},
		"not sampled": {
			method: "GET",
			path:   "/a",
			parent: unsampled,
			begins: unsampled,
			sees:   unsampled,
			trace:  unsampled[3:35],
		},
		"malformed": {
			method: "GET",
			path:   "/a",
			parent: "00-x",
			sees:   begunParent,
			trace:  begunParent[3:35],
			names:  []string{"GET /a", "admission"},
		},
		"an unknown method": {
			method: "NAME-OF-CLIENT",
			path:   "/a",
			sees:   begunParent,
			trace:  begunParent[3:35],
			names:  []string{"HTTP /a", "admission"},
		},
		"no route": {
			method: "GET",
			path:   "/of/the/client",
			trace:  begunParent[3:35],
			names:  []string{"GET"},
		},
		"a status": {
			method: "GET",
			path:   "/a",
			status: 503,
			sees:   begunParent,
			trace:  begunParent[3:35],
			names:  []string{"GET /a", "admission"},
			failed: "503",
		},
		"a failure": {
			method: "GET",
			path:   "/a",
			fail:   problem.New(problem.Deadline, "d"),
			sees:   begunParent,
			trace:  begunParent[3:35],
			names:  []string{"GET /a", "admission"},
			failed: "deadline",
		},
		"a refusal": {
			method: "GET",
			path:   "/a",
			fail:   problem.New(problem.BadRequest, "d"),
			sees:   begunParent,
			trace:  begunParent[3:35],
			names:  []string{"GET /a", "admission"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var sees string
			route := NewRoute(Binding{
				Key:     routekey.Key{Prefix: "/a"},
				Service: "/a",
				Number:  7,
				Limiter: admission.NewGate(1).NewLimiter(admission.Limits{}),
				Handler: HandlerFunc(func(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
					sees = r.Header.Get(forwarded.TraceParent)
					require.Equal(t, sees == begunParent, r.Span != nil)
					if c.status != 0 {
						w.WriteHeader(c.status)
					}
					return c.fail
				}),
			})
			table, err := BuildTable([]*Route{route})
			require.NoError(t, err)
			var rec accesslog.Record
			tracer := &spans{}
			rt := New(Config{Tracer: tracer, AccessLog: func(r *accesslog.Record) { rec = *r }})
			rt.Publish(table)
			r := httptest.NewRequest(c.method, c.path, http.NoBody)
			if c.parent != "" {
				r.Header.Set(forwarded.TraceParent, c.parent)
			}
			rt.ServeHTTP(httptest.NewRecorder(), r)
			require.Equal(t, []string{c.begins}, tracer.parents)
			require.Equal(t, c.sees, sees)
			require.Equal(t, c.trace, rec.TraceID)
			var names []string
			for _, s := range tracer.all {
				names = append(names, s.name)
				require.False(t, s.end.Before(s.start))
			}
			require.Equal(t, c.names, names)
			if len(names) == 0 {
				return
			}
			require.Equal(t, c.failed, tracer.all[0].failed)
			require.Equal(t, string(rec.Outcome), tracer.all[0].text["vespo.outcome"])
			if len(names) > 1 {
				require.Equal(t, "7", tracer.all[0].text["vespo.version"])
			}
		})
	}
}

// TestRefusedAdmissionsFail checks the span of a request that found no place.
func TestRefusedAdmissionsFail(t *testing.T) {
	limiter := admission.NewGate(1).NewLimiter(admission.Limits{})
	place, _, err := limiter.Acquire(t.Context())
	require.NoError(t, err)
	defer place.Release()
	table, err := BuildTable([]*Route{NewRoute(Binding{
		Key:     routekey.Key{Prefix: "/a"},
		Limiter: limiter,
		Handler: HandlerFunc(func(http.ResponseWriter, *Request, *accesslog.Result) error { return nil }),
	})})
	require.NoError(t, err)
	tracer := &spans{}
	rt := New(Config{Tracer: tracer})
	rt.Publish(table)
	rt.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/a", http.NoBody))
	require.Len(t, tracer.all, 2)
	for _, s := range tracer.all {
		require.Equal(t, string(accesslog.OutcomeNoCapacity), s.failed)
	}
}
