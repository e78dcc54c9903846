package function

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/event/httpevent"
	"github.com/vespo-dev/vespo/services/event/invocation"
)

// workerMain is the worker program. It does what the path of the request says.
func workerMain(addr string) int {
	if slices.Contains(os.Args, "fail") {
		return 3
	}
	if at := slices.Index(os.Args, "late"); at >= 0 { // waits at its start until one file exists, and announces itself in another
		if err := os.WriteFile(os.Args[at+1]+".pid", []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
			return 4
		}
		for {
			if _, err := os.Stat(os.Args[at+1]); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	base := "http://" + addr + "/2018-06-01/runtime/invocation/"
	loops, err := strconv.Atoi(os.Getenv("AWS_LAMBDA_MAX_CONCURRENCY"))
	if err != nil {
		loops = 1
	}
	var all sync.WaitGroup
	for range loops {
		all.Go(func() {
			for carryOut(base) == nil {
			}
		})
	}
	all.Wait()
	return 0
}

func carryOut(base string) error {
	resp, err := http.Get(base + "next")
	if err != nil {
		return err
	}
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != 200 {
		return fmt.Errorf("%d: %w", resp.StatusCode, err)
	}
	var event httpevent.Event
	if err := json.Unmarshal(text, &event); err != nil {
		return err
	}
	output := map[string]any{"statusCode": 200, "body": strconv.Itoa(os.Getpid())}
	switch event.RawPath {
	case "/env":
		output["body"] = strings.Join(os.Environ(), "\n")
	case "/exit":
		os.Exit(7)
	case "/hang":
		select {}
	case "/slow":
		time.Sleep(50 * time.Millisecond)
	case "/print":
		fmt.Println("a line of output")
	case "/child": // child left behind with the output open
		child := exec.Command("sleep", "1000")
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Start(); err != nil {
			return err
		}
		output["body"] = strconv.Itoa(child.Process.Pid)
	}
	answer, err := json.Marshal(output)
	if err != nil {
		return err
	}
	resp, err = http.Post(base+resp.Header.Get("Lambda-Runtime-Aws-Request-Id")+"/response", "application/json", bytes.NewReader(answer))
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// self is the document of a function whose program is this test binary.
func self(t *testing.T, processes, loops int, args ...string) Document {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	return Document{Exec: program, Args: args, Processes: processes, Loops: loops}
}

func allowed(log io.Writer) Config {
	return Config{AllowExec: true, Log: slog.New(slog.NewTextHandler(log, nil))}
}

func TestProcess(t *testing.T) {
	t.Setenv("SECRET_OF_THE_SERVER", "yes")
	var log syncBuffer
	f := newFront(t, allowed(&log))
	d, _ := f.bind("/fn", self(t, 2, 0, "one", "two"), registry.Options{Config: map[string]string{"GREETING": "hello", "PATH": "/bin"}})
	require.Equal(t, services.StateIdle, d.Status().State, "nothing runs before it is needed")
	env := f.do("GET", "/fn/env", "").body
	for _, want := range []string{"GREETING=hello", "PATH=/bin"} {
		require.Contains(t, env, want)
	}
	require.NotContains(t, env, "SECRET")
	require.NotContains(t, env, "HOME=")
	pid := f.do("GET", "/fn", "").body
	require.Equal(t, pid, f.do("GET", "/fn", "").body, "the process stays")
	require.Contains(t, d.Status().Target, "1 of 2 processes")
	f.do("GET", "/fn/print", "")
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "a line of output") }, hangTimeout, time.Millisecond)

	require.NoError(t, d.Scale(t.Context(), services.ScaleToZero))
	require.Eventually(t, func() bool { return d.Status().State == services.StateIdle }, hangTimeout, time.Millisecond)
	again := f.do("GET", "/fn", "").body
	require.NotEqual(t, pid, again, "it comes back with the next request")
	require.NoError(t, f.closed(d))
	number, err := strconv.Atoi(again)
	require.NoError(t, err)
	require.False(t, alive(number), "Close waits for the end")
}

func TestProcessesAreBounded(t *testing.T) {
	for _, c := range []struct{ processes, loops int }{{3, 0}, {1, 4}, {2, 3}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			f := newFront(t, allowed(io.Discard))
			d, _ := f.bind("/fn", self(t, c.processes, c.loops), registry.Options{})
			var mu sync.Mutex
			pids := map[string]bool{}
			var clients sync.WaitGroup
			for range 30 {
				clients.Go(func() {
					a := f.do("GET", "/fn/slow", "")
					mu.Lock()
					defer mu.Unlock()
					pids[a.body] = true
					if a.StatusCode != 200 {
						t.Errorf("%d %s", a.StatusCode, a.body)
					}
				})
			}
			clients.Wait()
			require.LessOrEqual(t, len(pids), c.processes)
			require.Equal(t, c.processes*max(1, c.loops) > 1, d.Status().Warm >= 1)
		})
	}
}

func TestProcessEnds(t *testing.T) {
	f := newFront(t, allowed(io.Discard))
	f.bind("/fn", self(t, 1, 0), registry.Options{})
	for range 3 {
		f.do("GET", "/fn/exit", "").requireProblem(t, problem.BadGateway)
		require.Equal(t, 200, f.do("GET", "/fn", "").StatusCode, "another one is started")
	}
}

func TestProcessHangs(t *testing.T) {
	f := newFront(t, allowed(io.Discard))
	f.bind("/fn", self(t, 1, 0), registry.Options{Timeout: 2 * time.Second})
	pid := f.do("GET", "/fn", "").body
	f.do("GET", "/fn/hang", "").requireProblem(t, problem.Deadline)
	a := f.do("GET", "/fn", "")
	require.Equal(t, 200, a.StatusCode, a.body)
	require.NotEqual(t, pid, a.body)
	number, err := strconv.Atoi(pid)
	require.NoError(t, err)
	require.False(t, alive(number), "the limit counts those that end")
}

func TestCloseEndsProcessAtWork(t *testing.T) {
	f := newFront(t, allowed(io.Discard))
	d, _ := f.bind("/fn", self(t, 1, 0), registry.Options{Timeout: time.Hour})
	f.do("GET", "/fn", "")
	held := f.start("GET", "/fn/hang", "")
	require.Eventually(t, func() bool { return d.Status().InFlight == 1 }, hangTimeout, time.Millisecond)
	require.NoError(t, f.closed(d))
	f.await(held).requireProblem(t, problem.NotReady)
}

func TestProcessThatCannotStart(t *testing.T) {
	f := newFront(t, allowed(io.Discard))
	d, _ := f.bind("/fn", self(t, 1, 0, "fail"), registry.Options{Timeout: 200 * time.Millisecond})
	ps := d.backend.(*processes)
	for range 2 {
		f.do("GET", "/fn", "").requireProblem(t, problem.BadGateway)
	}
	f.do("GET", "/fn", "").requireProblem(t, problem.NoCapacity) // the backoff is longer than the timeout
	ps.mu.Lock()
	defer ps.mu.Unlock()
	require.Equal(t, 2, ps.crashes)
}

func TestProcessGroupIsKilled(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no process groups")
	}
	f := newFront(t, allowed(io.Discard))
	d, _ := f.bind("/fn", self(t, 1, 0), registry.Options{})
	child, err := strconv.Atoi(f.do("GET", "/fn/child", "").body)
	require.NoError(t, err)
	require.True(t, alive(child))
	require.NoError(t, f.closed(d))
	require.Eventually(t, func() bool { return !alive(child) }, hangTimeout, time.Millisecond)
}

func TestLogTailOfProcess(t *testing.T) {
	f := newFront(t, allowed(io.Discard))
	f.bind("/fn", self(t, 1, 0), registry.Options{})
	c := &invocation.Call{RequestID: invocation.NewID(), WantsLog: true}
	r, err := http.NewRequestWithContext(invocation.With(t.Context(), c), "POST", "/fn", strings.NewReader(`{"rawPath":"/print"}`))
	require.NoError(t, err)
	r.RequestURI = "/fn"
	w := &discard{header: http.Header{}}
	f.router.ServeService("/fn", w, r)
	require.Contains(t, string(c.Log.Bytes()), "a line of output")
}

func TestExecIsRefused(t *testing.T) {
	spec := services.Spec{Prefix: "/fn", Kind: KindName, Module: self(t, 0, 0).Encode()}
	k := New(Config{})
	var p *problem.Problem
	require.ErrorAs(t, k.Validate(spec), &p)
	require.Contains(t, strings.Join(p.Violations, " "), "--allow-exec")
	_, err := k.Prepare(t.Context(), spec)
	require.Error(t, err, "also for what is in the catalogue from a time when it was allowed")
	spec.Origin = registry.OriginFile
	require.NoError(t, k.Validate(spec), "the server's own configuration is trusted")

	k = New(Config{AllowExec: true})
	for _, c := range []struct {
		document Document
		config   map[string]string
		want     string
	}{
		{Document{Exec: "relative"}, nil, "absolute path"},
		{Document{Exec: "/does/not/exist"}, nil, "no such program"},
		{Document{Exec: t.TempDir()}, nil, "no such program"},
		{Document{Args: []string{"a"}}, nil, "options of exec"},
		{Document{Exec: "/bin/sh", RuntimePort: 1}, nil, "a port of its own"},
		{Document{Exec: "/bin/sh", Processes: 1000}, nil, "processes is 1000"},
		{Document{Exec: "/bin/sh", Args: []string{"\x00"}}, nil, "without NUL"},
		{Document{Exec: "/bin/sh", MemorySize: -1}, nil, "memory_size is -1"},
		{Document{Exec: "/bin/sh", Package: strings.Repeat("0a", 32)}, nil, "a function has one program"},
		{Document{Package: "../../etc"}, nil, "SHA-256"},
		{Document{Package: strings.Repeat("0A", 32)}, nil, "SHA-256"},
		{Document{Package: strings.Repeat("0a", 32)}, nil, "keeps no packages"},
		{Document{Exec: "/bin/sh"}, map[string]string{"AWS_LAMBDA_RUNTIME_API": "x"}, "server's to set"},
		{Document{Exec: "/bin/sh"}, map[string]string{"_HANDLER": "x"}, "server's to set"},
		{Document{Exec: "/bin/sh"}, map[string]string{"LAMBDA_TASK_ROOT": "x"}, "server's to set"},
		{Document{Exec: "/bin/sh"}, map[string]string{"A=B": "x"}, "no variable can have"},
		{Document{}, map[string]string{"A": "x"}, "option config"},
	} {
		err := k.Validate(services.Spec{Prefix: "/fn", Kind: KindName, Module: c.document.Encode(), Options: registry.Options{Config: c.config}})
		require.ErrorAs(t, err, &p, c.want)
		require.Contains(t, strings.Join(p.Violations, " "), c.want)
	}
}

// discard is an http.ResponseWriter that discards everything.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }

// syncBuffer is a buffer that is safe for concurrent use.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
