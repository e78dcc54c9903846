package function_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/forwarded"
	"github.com/vespo-dev/vespo/services/event/httpevent"
	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// TestNextHeaders checks the headers that a worker receives with an event, as in Lambda's Runtime API.
func TestNextHeaders(t *testing.T) {
	f := newFront(t, function.Config{})
	addr := f.bind("/fn", function.Document{}, servicetest.WithTimeout(time.Minute))
	w := newWorker(t, addr)
	const given = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
	for _, c := range []struct{ header, want string }{
		{"X-Test: 1", `Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0`},
		{"X-Amzn-Trace-Id: " + given, given},
	} {
		got := f.Begin("GET", "/fn", "", c.header)
		id, text, h := w.next()
		for name, want := range map[string]string{
			"Content-Type":                        "application/json",
			"Lambda-Runtime-Aws-Request-Id":       "[0-9a-f]{16}",
			"Lambda-Runtime-Deadline-Ms":          `\d{13}`,
			"Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:000000000000:function:fn",
			"Lambda-Runtime-Trace-Id":             c.want,
		} {
			require.Regexp(t, "^"+want+"$", h.Get(name), name)
		}
		require.Empty(t, h.Values("Lambda-Runtime-Client-Context"), "what is not given is left out")
		require.Empty(t, h.Values("Lambda-Runtime-Cognito-Identity"))
		var event httpevent.Event
		require.NoError(t, json.Unmarshal([]byte(text), &event))
		require.Equal(t, h.Get("Lambda-Runtime-Trace-Id"), event.Headers["x-amzn-trace-id"], "the event says the same")
		status, _ := w.post(id, "response", `{"statusCode":204}`)
		require.Equal(t, 202, status)
		answer := f.Await(got)
		require.Equal(t, 204, answer.StatusCode)
		require.Equal(t, []string{id}, answer.Header["X-Request-Id"])
		require.Equal(t, id, event.RequestContext.RequestID)
	}
}

// TestRequestsWithOneID checks that workers tell apart requests with the same id, such as those of a service that
// calls the function twice, at a time or one after the other, and that an id which a worker cannot use in a path is replaced.
func TestRequestsWithOneID(t *testing.T) {
	f := newFront(t, function.Config{})
	addr := f.bind("/fn", function.Document{}, servicetest.WithTimeout(time.Minute))
	dispatch := func(id string) <-chan string {
		r := httptest.NewRequestWithContext(forwarded.WithID(t.Context(), id), "GET", "/fn", nil)
		answered := make(chan string, 1)
		go func() {
			w := httptest.NewRecorder()
			err := f.Router.Dispatch("/fn", w, r, nil)
			answered <- fmt.Sprint(w.Body.String(), err)
		}()
		return answered
	}
	w := newWorker(t, addr)
	first := dispatch("same-id")
	one, _, _ := w.next()
	second := dispatch("same-id")
	other := newWorker(t, addr)
	two, event, _ := other.next()
	require.Equal(t, "same-id", one)
	require.NotEqual(t, one, two)
	require.Contains(t, event, `"requestId":"same-id"`)
	other.post(two, "response", `"second"`)
	w.post(one, "response", `"first"`)
	require.Equal(t, `"first"<nil>`, <-first)
	require.Equal(t, `"second"<nil>`, <-second)

	again := dispatch("same-id")
	id, _, _ := w.next()
	require.NotEqual(t, one, id)
	status, _ := w.post(one, "response", `"first, sent again"`)
	require.Equal(t, 403, status)
	w.post(id, "response", `"again"`)
	require.Equal(t, `"again"<nil>`, <-again, "and not an earlier answer")

	third := dispatch("a/../b")
	id, _, _ = w.next()
	require.NotContains(t, id, "/")
	w.post(id, "response", `"third"`)
	require.Equal(t, `"third"<nil>`, <-third)
}

// TestEnvironment checks the variables that Lambda documents for
// an OS-only runtime, and others required by existing runtimes.
func TestEnvironment(t *testing.T) {
	f := newFront(t, allowed(io.Discard))
	d := self(t, 1, 2)
	d.MemorySize, d.Handler = 512, "app.handler"
	f.bind("/fn", d, servicetest.WithConfig(map[string]string{"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "its-own"}))
	f.bind("/fn~7", self(t, 1, 0))
	root := regexp.QuoteMeta(filepath.Dir(d.Exec))
	latest := environment(f.Send("GET", "/fn/env", "").Body)
	for name, want := range map[string]string{
		"AWS_ACCESS_KEY_ID":               "its-own",
		"AWS_DEFAULT_REGION":              "us-east-1",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
		"AWS_LAMBDA_FUNCTION_NAME":        "fn",
		"AWS_LAMBDA_FUNCTION_VERSION":     `\$LATEST`,
		"AWS_LAMBDA_INITIALIZATION_TYPE":  "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME":       "/aws/lambda/fn",
		"AWS_LAMBDA_LOG_STREAM_NAME":      `\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}`,
		"AWS_LAMBDA_MAX_CONCURRENCY":      "2",
		"AWS_LAMBDA_RUNTIME_API":          `127\.0\.0\.1:\d+`,
		"AWS_REGION":                      "eu-west-1",
		"AWS_XRAY_CONTEXT_MISSING":        "LOG_ERROR",
		"LAMBDA_RUNTIME_DIR":              root,
		"LAMBDA_TASK_ROOT":                root,
		"LANG":                            "C.UTF-8",
		"LD_LIBRARY_PATH":                 root + ":" + root + "/lib",
		"PATH":                            "/usr/local/bin:/usr/bin:/bin",
		"TZ":                              ":UTC",
		"_HANDLER":                        `app\.handler`,
	} {
		require.Regexp(t, "^"+want+"$", latest[name], name)
		delete(latest, name)
	}
	require.Empty(t, latest, "nothing else is set")
	published := environment(f.Send("GET", "/fn~7/env", "").Body)
	for name, want := range map[string]string{
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
		"AWS_LAMBDA_FUNCTION_NAME":        "fn",
		"AWS_LAMBDA_FUNCTION_VERSION":     "7",
		"AWS_LAMBDA_LOG_STREAM_NAME":      `\d{4}/\d\d/\d\d/\[7\][0-9a-f]{32}`,
	} {
		require.Regexp(t, "^"+want+"$", published[name], name)
	}
}

func environment(lines string) map[string]string {
	all := map[string]string{}
	for line := range strings.SplitSeq(lines, "\n") {
		name, value, _ := strings.Cut(line, "=")
		all[name] = value
	}
	return all
}

// TestStartTakesLong checks that a request times out while its
// process starts, and that the start continues for the next request.
func TestStartTakesLong(t *testing.T) {
	f := newFront(t, allowed(io.Discard))
	ready := filepath.Join(t.TempDir(), "ready")
	f.bind("/fn", self(t, 1, 0, "late", ready), servicetest.WithTimeout(200*time.Millisecond))
	for range 3 {
		requireProblem(t, f.Send("GET", "/fn", ""), problem.Deadline)
	}
	require.Contains(t, f.Status("/fn").Target, "1 of 1 processes", "it goes on")
	require.NoError(t, os.WriteFile(ready, nil, 0o600))
	var a servicetest.Answer
	require.Eventually(t, func() bool { a = f.Send("GET", "/fn", ""); return a.StatusCode == 200 }, servicetest.HangTimeout, time.Millisecond)
	pid, err := os.ReadFile(ready + ".pid")
	require.NoError(t, err)
	require.Equal(t, string(pid), a.Body, "it is the first process that answers")
}

// TestStartTakesTooLong checks that a process that does not
// request an event in time is stopped, and that its requests fail.
func TestStartTakesTooLong(t *testing.T) {
	cfg := allowed(io.Discard)
	cfg.StartTimeout = 100 * time.Millisecond
	f := newFront(t, cfg)
	f.bind("/fn", self(t, 1, 0, "late", filepath.Join(t.TempDir(), "never")), servicetest.WithTimeout(time.Hour))
	requireProblem(t, f.Send("GET", "/fn", ""), problem.BadGateway)
	require.Contains(t, f.Status("/fn").Target, "0 of 1 processes")
	c := &invocation.Call{RequestID: invocation.NewID()}
	r, err := http.NewRequestWithContext(t.Context(), "POST", "/fn", strings.NewReader(`{}`))
	require.NoError(t, err)
	r.RequestURI = "/fn"
	w := httptest.NewRecorder()
	var failed *invocation.Error
	require.ErrorAs(t, f.Router.Dispatch("/fn", w, r, c), &failed)
	require.Contains(t, failed.Message, "first event within 100ms")
	require.Empty(t, w.Body.String())
}

// TestPackage deploys the program of an unpacked archive, which is found below Config.Packages.
func TestPackage(t *testing.T) {
	cfg := allowed(io.Discard)
	cfg.Packages = t.TempDir()
	digest := strings.Repeat("0a", 32)
	packaged := spec("/fn", function.Document{Package: digest})
	var p *problem.Problem
	require.ErrorAs(t, function.New(cfg).Validate(packaged), &p)
	require.Contains(t, strings.Join(problem.Texts(p.Violations), " "), "missing from the server's data directory")
	require.NoError(t, os.Mkdir(filepath.Join(cfg.Packages, digest), 0o700))
	require.NoError(t, os.Symlink(self(t, 0, 0).Exec, filepath.Join(cfg.Packages, digest, function.Bootstrap)))
	f := newFront(t, cfg)
	f.bind("/fn", function.Document{Package: digest})
	require.Equal(t, filepath.Join(cfg.Packages, digest), environment(f.Send("GET", "/fn/env", "").Body)["LAMBDA_TASK_ROOT"])
	cfg.AllowExec = false
	require.ErrorAs(t, function.New(cfg).Validate(packaged), &p)
	require.Contains(t, strings.Join(problem.Texts(p.Violations), " "), "--allow-exec")
}
