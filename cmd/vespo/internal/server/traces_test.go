package server

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/vespo-dev/vespo/services/kinds/proxy"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

const (
	clientTrace  = "4bf92f3577b34da6a3ce929d0e0e4736"
	clientSpan   = "00f067aa0ba902b7"
	clientParent = "00-" + clientTrace + "-" + clientSpan + "-01"
)

// receiver is a receiver of OTLP/HTTP.
type receiver struct {
	url string

	mu       sync.Mutex
	spans    []*trace.Span                        // guarded by mu
	resource []*common.KeyValue                   // guarded by mu; of the last request
	header   http.Header                          // guarded by mu; of the last request
	arrived  chan struct{}                        // has a value if spans have arrived
	before   func(http.ResponseWriter) (use bool) // called before a request is taken; may be nil
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{arrived: make(chan struct{}, 1)}
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	r.url = s.URL
	return r
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, in *http.Request) {
	text, err := io.ReadAll(in.Body)
	var sent collector.ExportTraceServiceRequest
	if err != nil || in.Method != "POST" || in.URL.Path != "/v1/traces" || in.Header.Get("Content-Type") != "application/x-protobuf" || proto.Unmarshal(text, &sent) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if r.before != nil && !r.before(w) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.header = in.Header
	for _, of := range sent.ResourceSpans {
		r.resource = of.Resource.Attributes
		for _, scope := range of.ScopeSpans {
			r.spans = append(r.spans, scope.Spans...)
		}
	}
	select {
	case r.arrived <- struct{}{}:
	default:
	}
}

// await returns the spans once there are n of them.
func (r *receiver) await(t *testing.T, n int) []*trace.Span {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), servicetest.HangTimeout)
	defer cancel()
	for {
		r.mu.Lock()
		all := slices.Clone(r.spans)
		r.mu.Unlock()
		if len(all) >= n {
			return all
		}
		select {
		case <-r.arrived:
		case <-ctx.Done():
			require.Failf(t, "spans are missing", "%d of %d: %v", len(all), n, all)
		}
	}
}

// lookup returns a lookup of variables that let spans go to the receiver soon.
func (r *receiver) lookup(more ...string) func(string) (string, bool) {
	all := append([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + r.url, "OTEL_BSP_SCHEDULE_DELAY=1"}, more...)
	return func(name string) (value string, found bool) {
		for _, pair := range all {
			if rest, ok := strings.CutPrefix(pair, name+"="); ok {
				value, found = rest, true
			}
		}
		return value, found
	}
}

// traced runs a server that sends spans to r.
func traced(t *testing.T, r *receiver, more ...string) (*server, string) {
	t.Helper()
	cfg, err := parse(t, "--demo", "--listen=127.0.0.1:0", "--worker-listen=127.0.0.1:0", "--slots=8", "--memory=16MiB")
	require.NoError(t, err)
	cfg.SharedCode = guests.CodeCache()
	cfg.environment = r.lookup(more...)
	return listening(t, cfg)
}

func attribute(s *trace.Span, key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

func number(s *trace.Span, key string) int64 {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.GetIntValue()
		}
	}
	return 0
}

// children returns the names of the spans within a span of another server, as a tree: "a(b c(d))". Times must fit.
func children(t *testing.T, all []*trace.Span, parent []byte) string {
	t.Helper()
	var names []string
	for _, s := range all {
		if !bytes.Equal(s.ParentSpanId, parent) {
			continue
		}
		require.LessOrEqual(t, s.StartTimeUnixNano, s.EndTimeUnixNano, s.Name)
		name := s.Name
		if within := children(t, all, s.SpanId); within != "" {
			name += "(" + within + ")"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func spanNamed(t *testing.T, all []*trace.Span, name string, nth int) *trace.Span {
	t.Helper()
	for _, s := range all {
		if s.Name == name {
			if nth--; nth < 0 {
				return s
			}
		}
	}
	require.Failf(t, "no such span", "%s in %v", name, all)
	return nil
}

func send(t *testing.T, method, url string, headers ...string) (status int, body string) {
	t.Helper()
	a, err := servicetest.Send(servicetest.NewRequest(t, method, url, nil, headers...))
	require.NoError(t, err)
	return a.StatusCode, a.Body
}

// TestTraceOfServices follows a request of a traced client through middleware, a guest, its call to another service, and
// the guest of that.
func TestTraceOfServices(t *testing.T) {
	to := newReceiver(t)
	s, url := traced(t, to, "OTEL_SERVICE_NAME=edge", "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test%20one", "OTEL_EXPORTER_OTLP_HEADERS=Authorization=Basic%20eA==")
	const inner = "http://inner.vespo.internal"
	for _, spec := range []struct {
		key     string
		module  []byte
		options []servicetest.Option
	}{
		{"/inner", guests.Go(t, "headers"), nil},
		{"/out", guests.SDK(t, "fetch"), []servicetest.Option{
			servicetest.WithAllow(inner),
			servicetest.WithConfig(map[string]string{"upstream": inner}),
			servicetest.WithMiddleware(nil, guests.Wat(t, "preset")),
		}},
	} {
		_, err := s.core.deployer.Add(t.Context(), servicetest.Module(wasm.KindName, spec.key, spec.module, spec.options...))
		require.NoError(t, err)
	}
	status, body := send(t, "GET", url+"/out/x", "Traceparent: "+clientParent, "Tracestate: a=b", "User-Agent: \xff")
	require.Equal(t, 200, status, body)
	all := to.await(t, 8)
	from, err := hex.DecodeString(clientSpan)
	require.NoError(t, err)
	require.Equal(t, "GET /out(admission middleware(guest(GET(GET /inner(admission guest)))))", children(t, all, from))
	for _, span := range all {
		require.Equal(t, clientTrace, hex.EncodeToString(span.TraceId))
		require.Equal(t, "a=b", span.TraceState)
	}
	last := spanNamed(t, all, "guest", 0)
	var seen struct{ Headers map[string][]string }
	require.NoError(t, json.Unmarshal([]byte(body), &seen), body)
	require.Equal(t, []string{"00-" + clientTrace + "-" + hex.EncodeToString(last.SpanId) + "-01"}, seen.Headers["traceparent"])
	require.Equal(t, []string{"a=b"}, seen.Headers["tracestate"])

	outer := spanNamed(t, all, "GET /out", 0)
	require.Equal(t, trace.Span_SPAN_KIND_SERVER, outer.Kind)
	for key, want := range map[string]string{
		"http.request.method": "GET",
		"http.route":          "/out",
		"url.path":            "/out/x",
		"user_agent.original": "?",
		"client.address":      "127.0.0.1",
		"vespo.service":       "/out",
		"vespo.version":       "1",
		"vespo.outcome":       "ok",
	} {
		require.Equal(t, want, attribute(outer, key), key)
	}
	require.EqualValues(t, 200, number(outer, "http.response.status_code"))
	require.Regexp(t, "^(warm|restored|cold)$", attribute(last, "vespo.start"))
	call := spanNamed(t, all, "GET", 0)
	require.Equal(t, trace.Span_SPAN_KIND_CLIENT, call.Kind)
	require.Equal(t, "inner.vespo.internal", attribute(call, "server.address"))

	to.mu.Lock()
	defer to.mu.Unlock()
	require.Equal(t, "Basic eA==", to.header.Get("Authorization"))
	about := map[string]string{}
	for _, a := range to.resource {
		about[a.Key] = a.Value.GetStringValue()
	}
	require.Equal(t, "edge", about["service.name"])
	require.Equal(t, "test one", about["deployment.environment.name"])
}

// TestTraceOfUpstreams checks the attempts of a proxy, and what the upstream sees.
func TestTraceOfUpstreams(t *testing.T) {
	to := newReceiver(t)
	s, url := traced(t, to)
	seen := make(chan http.Header, 8)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header
		w.WriteHeader(http.StatusTeapot)
	}))
	defer up.Close()
	down := httptest.NewServer(nil)
	down.Close()
	for key, d := range map[string]proxy.Document{
		"/up":   {Upstreams: []string{up.URL}},
		"/down": {Upstreams: []string{down.URL}},
		"/rule": {Upstreams: []string{up.URL}, RequestHeaders: []string{"Traceparent: fixed"}},
	} {
		_, err := s.core.deployer.Add(t.Context(), servicetest.Spec(proxy.KindName, key, d))
		require.NoError(t, err)
	}
	status, _ := send(t, "GET", url+"/up", "Traceparent: 00-malformed-01", "Tracestate: a=b")
	require.Equal(t, http.StatusTeapot, status)
	all := to.await(t, 3)
	require.Equal(t, "GET /up(GET admission)", children(t, all, nil))
	attempt := spanNamed(t, all, "GET", 0)
	got := <-seen
	require.Equal(t, []string{"00-" + hex.EncodeToString(attempt.TraceId) + "-" + hex.EncodeToString(attempt.SpanId) + "-01"}, got["Traceparent"])
	require.Empty(t, got["Tracestate"])
	require.Equal(t, "418", attribute(attempt, "error.type"))
	require.Equal(t, "127.0.0.1", attribute(attempt, "server.address"))
	require.NotZero(t, number(attempt, "server.port"))

	status, _ = send(t, "GET", url+"/down")
	require.Equal(t, http.StatusBadGateway, status)
	failed := to.await(t, 6)[3:]
	require.Equal(t, "unreachable", attribute(spanNamed(t, failed, "GET", 0), "error.type"))
	require.Equal(t, "unreachable", attribute(spanNamed(t, failed, "GET /down", 0), "error.type"))
	require.Equal(t, trace.Status_STATUS_CODE_ERROR, spanNamed(t, failed, "GET /down", 0).Status.Code)

	send(t, "GET", url+"/rule")
	require.Equal(t, []string{"fixed"}, (<-seen)["Traceparent"])
}

// TestTraceOfWorkers checks the span of a request for a worker, and what the worker sees.
func TestTraceOfWorkers(t *testing.T) {
	to := newReceiver(t)
	_, url := traced(t, to)
	workers := regexp.MustCompile(`workers at (http://[^ "]+)/request`).FindStringSubmatch(addService(t, url, "/jobs", [2]string{"queue", "true"}))[1]
	taken := make(chan string, 1)
	var working sync.WaitGroup
	defer working.Wait()
	working.Go(func() {
		resp, err := http.Get(workers + "/request")
		if err != nil {
			close(taken)
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		taken <- string(text)
		var m struct {
			Identifier string `json:"identifier"`
		}
		_ = json.Unmarshal(text, &m)
		answer, _ := json.Marshal(map[string]any{"identifier": m.Identifier, "response": []any{200, map[string]string{}, []string{"done"}}})
		if resp, err := http.Post(workers+"/response", "application/json", bytes.NewReader(answer)); err == nil {
			resp.Body.Close()
		}
	})
	send(t, "GET", url+"/jobs/1", "Traceparent: "+clientParent)
	all := to.await(t, 3)
	from, _ := hex.DecodeString(clientSpan)
	require.Equal(t, "GET /jobs(admission worker)", children(t, all, from))
	require.Contains(t, <-taken, "00-"+clientTrace+"-"+hex.EncodeToString(spanNamed(t, all, "worker", 0).SpanId)+"-01")
}

// TestUnsampledRequestsAreNotTraced checks that services see the decision, and that no span is sent.
func TestUnsampledRequestsAreNotTraced(t *testing.T) {
	const unsampled = "00-" + clientTrace + "-" + clientSpan + "-00"
	for name, c := range map[string]struct {
		setting, sent, want string // want: a pattern of what the service sees
	}{
		"by the client":  {"OTEL_TRACES_SAMPLER=parentbased_always_on", unsampled, "^" + unsampled + "$"},
		"by the server":  {"OTEL_TRACES_SAMPLER=always_off", clientParent, "^00-" + clientTrace + "-[0-9a-f]{16}-00$"},
		"a new request":  {"OTEL_TRACES_SAMPLER=always_off", "", "^00-[0-9a-f]{32}-[0-9a-f]{16}-00$"},
		"switched off":   {"OTEL_SDK_DISABLED=true", clientParent, "^" + clientParent + "$"},
		"no exporter":    {"OTEL_TRACES_EXPORTER=none", clientParent, "^" + clientParent + "$"},
		"other protocol": {"OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "", "^$"},
	} {
		t.Run(name, func(t *testing.T) {
			to := newReceiver(t)
			s, url := traced(t, to, c.setting)
			seen := make(chan string, 1)
			up := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header.Get("Traceparent") }))
			defer up.Close()
			_, err := s.core.deployer.Add(t.Context(), servicetest.Spec(proxy.KindName, "/up", proxy.Document{Upstreams: []string{up.URL}}))
			require.NoError(t, err)
			var headers []string
			if c.sent != "" {
				headers = []string{"Traceparent: " + c.sent}
			}
			send(t, "GET", url+"/up", headers...)
			require.Regexp(t, c.want, <-seen)
			require.Zero(t, s.core.traces.Stats().Sent)
			require.Zero(t, s.core.traces.Stats().Waiting)
		})
	}
}

// TestReceiversDoNotDelayRequests checks that requests are served while the receiver takes no span, and that lost spans are
// counted. The end of the server is bounded.
func TestReceiversDoNotDelayRequests(t *testing.T) {
	to := newReceiver(t)
	release := make(chan struct{})
	to.before = func(http.ResponseWriter) bool { <-release; return true }
	s, url := traced(t, to, "OTEL_BSP_MAX_QUEUE_SIZE=4", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=1")
	for range 20 {
		status, _ := send(t, "GET", url+"/hello")
		require.Equal(t, 200, status)
	}
	require.Positive(t, s.core.traces.Stats().Dropped)
	_, text := send(t, "GET", url+"/services/metrics")
	require.Regexp(t, `vespo_spans_total\{result="dropped"\} [1-9]`, text)
	close(release)
	to.await(t, 4)
}

// TestSpansAreSentBeforeTheEnd checks that a server that stops sends the spans that wait.
func TestSpansAreSentBeforeTheEnd(t *testing.T) {
	to := newReceiver(t)
	t.Run("server", func(t *testing.T) {
		_, url := traced(t, to, "OTEL_BSP_SCHEDULE_DELAY=600000")
		send(t, "GET", url+"/hello")
	})
	require.Equal(t, "GET /hello(admission guest)", children(t, to.await(t, 3), nil))
}

// TestReceiverIsDown checks that requests are served, and that spans which cannot be sent are counted.
func TestReceiverIsDown(t *testing.T) {
	to := newReceiver(t)
	to.before = func(w http.ResponseWriter) bool { w.WriteHeader(http.StatusForbidden); return false }
	s, url := traced(t, to)
	send(t, "GET", url+"/hello")
	require.Eventually(t, func() bool { return s.core.traces.Stats().Failed == 3 }, servicetest.HangTimeout, time.Millisecond)
}
