package wasm_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/forwarded"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

const (
	traceID     = "4bf92f3577b34da6a3ce929d0e0e4736"
	traceparent = "00-" + traceID + "-00f067aa0ba902b7-01"
)

// TestGuestsSeeTheIdsOfTheirRequests checks the header that guests see. The ids are those of the response and the record.
func TestGuestsSeeTheIdsOfTheirRequests(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/headers", guests.Go(t, "headers"))
	for name, c := range map[string]struct {
		sent   []string
		trace  string
		parent []string
	}{
		"nothing":      {},
		"a trace":      {[]string{"Traceparent: " + traceparent}, traceID, []string{traceparent}},
		"a forged id":  {[]string{"X-Request-Id: forged", "X_Request_Id: forged"}, "", nil},
		"no trace":     {[]string{"Traceparent: 00-x", "Tracestate: a=b"}, "", nil},
		"two parents":  {[]string{"Traceparent: " + traceparent, "Traceparent: " + traceparent}, "", nil},
		"a later form": {[]string{"Traceparent: 42" + traceparent[2:] + "-more"}, traceID, []string{"42" + traceparent[2:] + "-more"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.do("GET", "/headers", "", c.sent...)
			var seen struct{ Headers map[string][]string }
			require.NoError(t, json.Unmarshal([]byte(a.Body), &seen), a.Body)
			id := a.Header.Get(router.RequestIDHeader)
			require.Regexp(t, "^[0-9a-f]{16}$", id)
			require.Equal(t, []string{id}, seen.Headers["x-request-id"])
			require.Equal(t, c.parent, seen.Headers["traceparent"])
			require.Empty(t, seen.Headers["tracestate"])
			require.Empty(t, seen.Headers["x_request_id"])
			rec := s.Records.First(func(r accesslog.Record) bool { return r.RequestID == id })
			require.Equal(t, c.trace, rec.TraceID)
		})
	}
}

func TestGuestLinesHaveTheIdsOfTheirRequest(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/chatty", guests.Wat(t, "chatty"))
	first := s.get("/chatty").Header.Get(router.RequestIDHeader)
	second := s.do("GET", "/chatty", "", "Traceparent: "+traceparent).Header.Get(router.RequestIDHeader)
	s.do("GET", "/chatty", "", "Traceparent: 00-forged", "X-Request-Id: forged")
	log := s.Log.String()
	require.Contains(t, log, "request_id="+first+" line=x")
	require.Contains(t, log, "request_id="+second+" trace_id="+traceID+" line=x")
	require.NotContains(t, log, "forged")
}

// TestCalledServicesContinueTheRequest checks that a request from one service to another has the ids of the request
// that it serves, in the records, the log and the header, whatever the guest claims.
func TestCalledServicesContinueTheRequest(t *testing.T) {
	type ids struct {
		id, trace string
		header    http.Header
	}
	seen := make(chan ids, 4)
	s := newServerWith(t, wasm.Config{Slots: 4}, servicetest.Handlers{"inner": func(w http.ResponseWriter, r *router.Request, _ *accesslog.Result) error {
		seen <- ids{r.ID, r.TraceID, r.Header.Clone()}
		return nil
	}})
	s.Deploy(servicetest.Handler("/inner", "inner"))
	s.add("/out", guests.SDK(t, "fetch"), servicetest.WithAllow("http://inner.vespo.internal"),
		servicetest.WithConfig(map[string]string{"upstream": "http://inner.vespo.internal"}))
	a := s.do("GET", "/out", "", "Traceparent: "+traceparent, "Tracestate: a=b")
	require.Equal(t, 200, a.StatusCode, a.Body)
	inner := <-seen
	id := a.Header.Get(router.RequestIDHeader)
	require.Equal(t, id, inner.id)
	require.Equal(t, traceID, inner.trace)
	require.Equal(t, []string{id}, inner.header[router.RequestIDHeader])
	require.Equal(t, []string{traceparent}, inner.header[forwarded.TraceParent])
	require.Equal(t, []string{"a=b"}, inner.header[forwarded.TraceState])
	for _, prefix := range []string{"/inner", "/out"} {
		rec := s.Records.First(func(r accesslog.Record) bool { return r.Prefix == prefix })
		require.Equal(t, []string{id, traceID}, []string{rec.RequestID, rec.TraceID}, prefix)
	}
}

// TestRequestsToUpstreamsHaveTheIds checks the requests of a guest that sets no such fields itself.
func TestRequestsToUpstreamsHaveTheIds(t *testing.T) {
	seen := make(chan http.Header, 4)
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header }))
	defer upstream.Close()
	s := newServer(t, wasm.Config{})
	s.add("/out", guests.SDK(t, "fetch"), servicetest.WithAllow(upstream.URL), servicetest.WithConfig(map[string]string{"upstream": upstream.URL}))
	a := s.do("POST", "/out", "with a body", "Traceparent: "+traceparent, "X-Request-Id: forged")
	require.Equal(t, 200, a.StatusCode, a.Body)
	got := <-seen
	require.Equal(t, a.Header[router.RequestIDHeader], got[router.RequestIDHeader])
	require.Equal(t, []string{traceparent}, got[forwarded.TraceParent])
}
