package router

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/lane/lanetest"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// serving is the kind of server that tests start.
var serving lanetest.Kind

// TestMain runs all tests on net/http, and with the fast lane in front of it.
func TestMain(m *testing.M) {
	os.Exit(lanetest.Main(m, func(kind lanetest.Kind) { serving = kind }))
}

// start starts a server for a handler.
func start(h http.Handler) *httptest.Server {
	server := serving.Front(httptest.NewUnstartedServer(h))
	server.Start()
	return server
}

// house is a router behind a real server, with the records of its requests.
type house struct {
	*Router
	t       *testing.T
	server  *httptest.Server
	records chan accesslog.Record
}

func newHouse(t *testing.T, config Config, bindings ...Binding) *house {
	t.Helper()
	h := &house{t: t, records: make(chan accesslog.Record, 1000)}
	config.AccessLog = func(rec *accesslog.Record) { h.records <- *rec }
	h.Router = New(config)
	h.publish(bindings...)
	h.serve(h.Router)
	return h
}

// serve starts a server for a handler. Requests go to the latest one.
func (h *house) serve(handler http.Handler) {
	h.server = start(handler)
	h.t.Cleanup(h.server.Close)
}

// publish publishes a table of routes with the bindings.
func (h *house) publish(bindings ...Binding) []*Route {
	h.t.Helper()
	routes := make([]*Route, 0, len(bindings))
	for _, b := range bindings {
		routes = append(routes, NewRoute(b))
	}
	table, err := BuildTable(routes)
	require.NoError(h.t, err)
	h.Publish(table)
	return routes
}

// do sends a request to the server and reads the whole response.
func (h *house) do(method, path string, body io.Reader) (*http.Response, []byte) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.server.URL+path, body)
	require.NoError(h.t, err)
	answer, err := h.server.Client().Do(r)
	require.NoError(h.t, err)
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	require.NoError(h.t, err)
	return answer, content
}

// raw sends unmodified bytes and reads one response.
func (h *house) raw(method, request string) (*http.Response, string) {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.server.Listener.Addr().String())
	require.NoError(h.t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, request)
	require.NoError(h.t, err)
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	require.NoError(h.t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(h.t, err)
	return answer, string(body)
}

// record returns the record of the next finished request.
func (h *house) record() accesslog.Record {
	return <-h.records
}

// requireProblem compares a response with the record of its request and returns the detail.
func (h *house) requireProblem(kind problem.Kind, answer *http.Response, body []byte) (string, accesslog.Record) {
	h.t.Helper()
	rec := h.record()
	require.Equal(h.t, kind.Status(), answer.StatusCode)
	require.Equal(h.t, problem.ContentType, answer.Header.Get("Content-Type"))
	require.Equal(h.t, []string{rec.RequestID}, answer.Header[RequestIDHeader])
	var document map[string]any
	require.NoError(h.t, json.Unmarshal(body, &document))
	require.Equal(h.t, kind.Type(), document["type"])
	require.Equal(h.t, rec.RequestID, document["request_id"])
	require.Equal(h.t, kind.Status(), rec.Status)
	require.EqualValues(h.t, len(body), rec.BytesOut)
	detail, _ := document["detail"].(string)
	return detail, rec
}

// binding binds a function to a prefix, without a limiter.
func binding(prefix routekey.Prefix, serve HandlerFunc) Binding {
	return Binding{Key: routekey.Key{Prefix: prefix}, Service: "service of " + string(prefix), Version: "v1", Generation: 7, Handler: serve}
}

// say returns a handler that answers with a text.
func say(text string) HandlerFunc {
	return func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
		_, err := io.WriteString(w, text)
		return err
	}
}
