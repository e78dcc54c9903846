package lambda_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/control/lambda"
	"github.com/vespo-dev/vespo/services/events/embedded"
	"github.com/vespo-dev/vespo/services/internal/access"
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/kinds/static"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// api is a server of the Lambda API. Its catalogue has the
// function fn, whose worker echoes, and the static service site.
type api struct {
	*servicetest.Server
	dir       string
	t         *testing.T
	handler   *lambda.Handler
	store     *faultyStore
	functions *function.Kind
}

// faultyStore is a store whose next commit fails with fail.
type faultyStore struct {
	registry.Store
	fail atomic.Pointer[error]
}

func (s *faultyStore) Commit(ctx context.Context, base, next *registry.State) error {
	if err := s.fail.Swap(nil); err != nil {
		return *err
	}
	return s.Store.Commit(ctx, base, next)
}

func newAPI(t *testing.T, change func(*lambda.Config)) *api {
	t.Helper()
	a := &api{t: t, dir: t.TempDir(), store: &faultyStore{}}
	require.NoError(t, os.Mkdir(filepath.Join(a.dir, "site"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(a.dir, "site", "a.txt"), []byte("a file"), 0o600))
	root, err := os.OpenRoot(a.dir)
	require.NoError(t, err)
	a.Server = servicetest.New(t, servicetest.Config{
		Deploy: deploy.Config{Gate: admission.NewGate(16), Limits: admission.Limits{Concurrency: 16}},
		WrapStore: func(s registry.Store) registry.Store {
			a.store.Store = s
			return a.store
		},
		HTTP: func(s *http.Server) {
			s.Handler = a.handler
			s.BaseContext = func(l net.Listener) context.Context { return access.WithListener(context.Background(), l.Addr()) }
		},
	})
	a.functions = function.New(function.Config{Timeout: time.Minute, AllowExec: true, Packages: filepath.Join(a.dir, "code")})
	a.Build(
		a.functions,
		static.New(static.Config{Root: root}),
	)
	fn := a.Deploy(servicetest.Spec(function.KindName, "/fn", function.Document{}))
	for _, key := range []string{"/a/site", "/a Host: x"} {
		a.Deploy(servicetest.Spec(static.KindName, key, static.Document{Directory: "site"}))
	}
	stored, err := embedded.Open(embedded.Config{})
	require.NoError(t, err)
	cfg := lambda.Config{Catalogue: a.Deployer, Dispatcher: a.Router, Kinds: kindsOfFunctions(), Events: stored}
	if change != nil {
		change(&cfg)
	}
	a.handler = lambda.New(cfg)
	a.Listen()
	_, rest, _ := strings.Cut(fn.Status.Target, "AWS_LAMBDA_RUNTIME_API=")
	addr, _, _ := strings.Cut(rest, ",")
	worked := make(chan struct{})
	go func() {
		defer close(worked)
		echo(addr)
	}()
	t.Cleanup(func() {
		a.Close()
		<-worked
		require.NoError(t, root.Close())
		require.Zero(t, a.handler.Stats().Held.HeldBytes, "all that was held is given back")
	})
	return a
}

// kindsOfFunctions returns the kinds that a server has for functions.
func kindsOfFunctions() lambda.Kinds {
	return lambda.Kinds{Program: function.KindName, Function: wasm.FunctionKindName, Module: wasm.Description()}
}

// The API writes fields of the kind for programs without importing it.
func TestKindHasTheFieldsOfPrograms(t *testing.T) {
	kind := function.Description()
	for _, name := range lambda.FieldsOfPrograms() {
		_, ok := kind.Field(name)
		require.True(t, ok, name)
	}
	_, ok := wasm.Description().Field(lambda.FieldMemory)
	require.True(t, ok)
	require.Equal(t, function.Bootstrap, lambda.Bootstrap)
	require.Equal(t, function.MaxTimeout, lambda.MaxTimeout)
}

// echo is a worker that returns events unchanged, and fails
// for the event "fail". It ends when its endpoint closes.
func echo(addr string) {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for {
		resp, err := client.Get("http://" + addr + "/2018-06-01/runtime/invocation/next")
		if err != nil {
			return
		}
		event, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 {
			return
		}
		what := "response"
		if string(event) == `"fail"` {
			what, event = "error", []byte(`{"errorMessage":"no luck","errorType":"Luck"}`)
		}
		resp, err = client.Post("http://"+addr+"/2018-06-01/runtime/invocation/"+resp.Header.Get("Lambda-Runtime-Aws-Request-Id")+"/"+what, "", bytes.NewReader(event))
		if err != nil {
			return
		}
		resp.Body.Close()
	}
}

// do makes a request, whose headers are given as "Name: value".
func (a *api) do(method, path, body string, headers ...string) (*http.Response, string) {
	a.t.Helper()
	answer := a.Do(a.Request(method, path, strings.NewReader(body), headers...))
	return answer.Response, answer.Body
}

const invocations = "/2015-03-31/functions/fn/invocations"

func TestInvocations(t *testing.T) {
	a := newAPI(t, nil)
	resp, body := a.do("POST", invocations, `{"a":1}`, "X-Amz-Log-Type: Tail")
	require.Equal(t, 200, resp.StatusCode, body)
	require.Equal(t, `{"a":1}`, body)
	require.Equal(t, "$LATEST", resp.Header.Get("X-Amz-Executed-Version"))
	log, err := base64.StdEncoding.DecodeString(resp.Header.Get("X-Amz-Log-Result"))
	require.NoError(t, err)
	require.Contains(t, string(log), "RequestId: "+resp.Header.Get("X-Amzn-Requestid"))
	rec := a.Records.First(func(r accesslog.Record) bool { return r.Prefix == "/fn" })
	require.Equal(t, resp.Header.Get("X-Amzn-Requestid"), rec.RequestID, "the access log has the id that the SDK shows")
	resp, body = a.do("POST", invocations, `"fail"`)
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "Unhandled", resp.Header.Get("X-Amz-Function-Error"))
	require.JSONEq(t, `{"errorMessage":"no luck","errorType":"Luck"}`, body)
	resp, _ = a.do("POST", invocations, "", "X-Amz-Invocation-Type: DryRun")
	require.Equal(t, 204, resp.StatusCode)

	_, body = a.do("POST", "/2015-03-31/functions/a_site/invocations", `{"rawPath":"/a.txt"}`)
	var file struct {
		StatusCode int
		Body       string
	}
	require.NoError(t, json.Unmarshal([]byte(body), &file))
	require.Equal(t, 200, file.StatusCode, "of a service that is no function, and has a prefix of two segments")
	require.Equal(t, "a file", file.Body)
	_, body = a.do("POST", "/2015-03-31/functions/a%2Fsite/invocations", `{"rawPath":"/none"}`)
	require.Contains(t, body, `"statusCode":404`)
}

func TestRefusals(t *testing.T) {
	a := newAPI(t, nil)
	for _, c := range []struct {
		method, path, body, header string
		status                     int
		errorType                  string
	}{
		{"POST", "/2015-03-31/functions/none/invocations", "", "", 404, "ResourceNotFoundException"},
		{"POST", "/2015-03-31/functions/a%20b/invocations", "", "", 400, "InvalidParameterValueException"},
		{"POST", "/2015-03-31/functions/a_Host__x/invocations", "", "", 404, "ResourceNotFoundException"},
		{"POST", invocations + "?Qualifier=7", "", "", 404, "ResourceNotFoundException"},
		{"POST", invocations + "?Qualifier=%20", "", "", 400, "InvalidParameterValueException"},
		{"POST", "/2015-03-31/functions/fn:1/invocations?Qualifier=2", "", "", 400, "InvalidParameterValueException"},
		{"POST", invocations, "{", "", 400, "InvalidRequestContentException"},
		{"POST", invocations, "{", "X-Amz-Invocation-Type: Event", 400, "InvalidRequestContentException"},
		{"POST", invocations, "", "X-Amz-Invocation-Type: Never", 400, "InvalidParameterValueException"},
		{"POST", invocations, "", "X-Amz-Log-Type: All", 400, "InvalidParameterValueException"},
		{"POST", invocations, "", "X-Amz-Client-Context: %", 400, "InvalidRequestContentException"},
		{"POST", invocations, strings.Repeat(" ", 6<<20+1), "", 413, "RequestTooLargeException"},
		{"POST", invocations, "", "Origin: http://evil.example", 403, "AccessDeniedException"},
		{"POST", invocations, "", "Host: evil.example", 403, "AccessDeniedException"},
		{"POST", invocations, "", "X-Forwarded-For: 192.0.2.1", 403, "AccessDeniedException"},
		{"GET", "/2015-03-31/functions/fn/policy", "", "", 404, "UnknownOperationException"},
		{"DELETE", "/2015-03-31/functions/fn", "", "", 403, "AccessDeniedException"},
		{"POST", "/2015-03-31/functions", "{}", "", 403, "AccessDeniedException"},
	} {
		t.Run(c.method+c.path+c.header, func(t *testing.T) {
			headers := []string{"X-Test: 1"}
			if c.header != "" {
				headers = append(headers, c.header)
			}
			resp, body := a.do(c.method, c.path, c.body, headers...)
			require.Equal(t, c.status, resp.StatusCode, body)
			require.Equal(t, c.errorType, resp.Header.Get("X-Amzn-Errortype"), body)
			var told struct{ Type, Message string }
			require.NoError(t, json.Unmarshal([]byte(body), &told))
			require.Equal(t, "User", told.Type)
			require.NotEmpty(t, told.Message)
		})
	}
}

func TestKeysAreAsked(t *testing.T) {
	a := newAPI(t, func(c *lambda.Config) { c.Keys = map[string]string{"ID": "a long enough secret"} })
	for header, want := range map[string]string{
		"X-Test: 1":             "MissingAuthenticationTokenException",
		"Authorization: Bearer": "IncompleteSignatureException",
	} {
		resp, _ := a.do("POST", invocations, "{}", header)
		require.Equal(t, 403, resp.StatusCode)
		require.Equal(t, want, resp.Header.Get("X-Amzn-Errortype"))
	}
}

func TestEventThroughHandler(t *testing.T) {
	var letters bytes.Buffer
	a := newAPI(t, func(c *lambda.Config) { c.DeadLetters, c.Retries = &letters, []time.Duration{time.Millisecond} })
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.handler.Run(ctx)
	}()
	for _, payload := range []string{`"fail"`, `{"a":1}`} {
		resp, _ := a.do("POST", invocations, payload, "X-Amz-Invocation-Type: Event")
		require.Equal(t, 202, resp.StatusCode)
	}
	require.Eventually(t, func() bool { return a.handler.Stats().Events.Events == 0 }, 30*time.Second, time.Millisecond)
	stop()
	<-ended
	require.Equal(t, 1, strings.Count(letters.String(), "\n"))
	require.Contains(t, letters.String(), "no luck")
	resp, _ := a.do("POST", invocations, `1`, "X-Amz-Invocation-Type: Event")
	require.Equal(t, 202, resp.StatusCode, "after the end of Run, events wait in the store")
	require.Equal(t, 1, a.handler.Stats().Events.Events)
}
