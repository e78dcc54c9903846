package function_test

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
	"github.com/vespo-dev/vespo/internal/tail"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/event/httpevent"
	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/servicetest"
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
func self(t *testing.T, processes, loops int, args ...string) function.Document {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	return function.Document{Exec: program, Args: args, Processes: processes, Loops: loops}
}

func allowed(log io.Writer) function.Config {
	return function.Config{AllowExec: true, Log: slog.New(slog.NewTextHandler(log, nil))}
}

func TestProcess(t *testing.T) {
	t.Setenv("SECRET_OF_THE_SERVER", "yes")
	var log servicetest.Log
	f := newFront(t, allowed(&log))
	f.bind("/fn", self(t, 2, 0, "one", "two"), servicetest.WithConfig(map[string]string{"GREETING": "hello", "PATH": "/bin"}))
	require.Equal(t, services.StateIdle, f.Status("/fn").State, "nothing runs before it is needed")
	env := f.Send("GET", "/fn/env", "").Body
	for _, want := range []string{"GREETING=hello", "PATH=/bin"} {
		require.Contains(t, env, want)
	}
	require.NotContains(t, env, "SECRET")
	require.NotContains(t, env, "HOME=")
	pid := f.Send("GET", "/fn", "").Body
	require.Equal(t, pid, f.Send("GET", "/fn", "").Body, "the process stays")
	require.Contains(t, f.Status("/fn").Target, "1 of 2 processes")
	f.Send("GET", "/fn/print", "")
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "a line of output") }, servicetest.HangTimeout, time.Millisecond)

	require.NoError(t, f.Deployment("/fn").Scale(t.Context(), services.ScaleToZero))
	f.AwaitStatus("/fn", func(s services.Status) bool { return s.State == services.StateIdle })
	again := f.Send("GET", "/fn", "").Body
	require.NotEqual(t, pid, again, "it comes back with the next request")
	f.Withdraw("/fn")
	number, err := strconv.Atoi(again)
	require.NoError(t, err)
	require.False(t, alive(number), "Close waits for the end")
}

func TestProcessesAreBounded(t *testing.T) {
	for _, c := range []struct{ processes, loops int }{{3, 0}, {1, 4}, {2, 3}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			f := newFront(t, allowed(io.Discard))
			f.bind("/fn", self(t, c.processes, c.loops))
			var mu sync.Mutex
			pids := map[string]bool{}
			var clients sync.WaitGroup
			for range 30 {
				clients.Go(func() {
					a := f.Send("GET", "/fn/slow", "")
					mu.Lock()
					defer mu.Unlock()
					pids[a.Body] = true
					if a.StatusCode != 200 {
						t.Errorf("%d %s", a.StatusCode, a.Body)
					}
				})
			}
			clients.Wait()
			require.LessOrEqual(t, len(pids), c.processes)
			require.Equal(t, c.processes*max(1, c.loops) > 1, f.Status("/fn").Warm >= 1)
		})
	}
}

func TestProcessEnds(t *testing.T) {
	f := newFront(t, allowed(io.Discard))
	f.bind("/fn", self(t, 1, 0))
	for range 3 {
		requireProblem(t, f.Send("GET", "/fn/exit", ""), problem.BadGateway)
		require.Equal(t, 200, f.Send("GET", "/fn", "").StatusCode, "another one is started")
	}
}

func TestProcessHangs(t *testing.T) {
	f := newFront(t, allowed(io.Discard))
	f.bind("/fn", self(t, 1, 0), servicetest.WithTimeout(2*time.Second))
	pid := f.Send("GET", "/fn", "").Body
	requireProblem(t, f.Send("GET", "/fn/hang", ""), problem.Deadline)
	a := f.Send("GET", "/fn", "")
	require.Equal(t, 200, a.StatusCode, a.Body)
	require.NotEqual(t, pid, a.Body)
	number, err := strconv.Atoi(pid)
	require.NoError(t, err)
	require.False(t, alive(number), "the limit counts those that end")
}

func TestCloseEndsProcessAtWork(t *testing.T) {
	f := newFront(t, allowed(io.Discard))
	f.bind("/fn", self(t, 1, 0), servicetest.WithTimeout(time.Hour))
	f.Send("GET", "/fn", "")
	held := f.Begin("GET", "/fn/hang", "")
	require.Eventually(t, func() bool { return f.Status("/fn").InFlight == 1 }, servicetest.HangTimeout, time.Millisecond)
	f.Withdraw("/fn")
	requireProblem(t, f.Await(held), problem.NotReady)
}

func TestProcessThatCannotStart(t *testing.T) {
	f := newFront(t, allowed(io.Discard))
	f.bind("/fn", self(t, 1, 0, "fail"), servicetest.WithTimeout(600*time.Millisecond))
	for range 2 {
		requireProblem(t, f.Send("GET", "/fn", ""), problem.BadGateway)
	}
	requireProblem(t, f.Send("GET", "/fn", ""), problem.NoCapacity) // the backoff is longer than the timeout
	require.Equal(t, 2, function.Crashes(f.Deployment("/fn")))
}

func TestProcessGroupIsKilled(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no process groups")
	}
	f := newFront(t, allowed(io.Discard))
	f.bind("/fn", self(t, 1, 0))
	child, err := strconv.Atoi(f.Send("GET", "/fn/child", "").Body)
	require.NoError(t, err)
	require.True(t, alive(child))
	f.Withdraw("/fn")
	require.Eventually(t, func() bool { return !alive(child) }, servicetest.HangTimeout, time.Millisecond)
}

func TestLogTailOfProcess(t *testing.T) {
	f := newFront(t, allowed(io.Discard))
	f.bind("/fn", self(t, 1, 0))
	c := &invocation.Call{RequestID: invocation.NewID(), Log: tail.New(invocation.TailBytes)}
	r, err := http.NewRequestWithContext(t.Context(), "POST", "/fn", strings.NewReader(`{"rawPath":"/print"}`))
	require.NoError(t, err)
	r.RequestURI = "/fn"
	w := &discard{header: http.Header{}}
	require.NoError(t, f.Router.Dispatch("/fn", w, r, c))
	require.Contains(t, string(c.Log.Bytes()), "a line of output")
}

func TestExecIsRefused(t *testing.T) {
	wanted := spec("/fn", self(t, 0, 0))
	k := function.New(function.Config{})
	var p *problem.Problem
	require.ErrorAs(t, k.Validate(wanted), &p)
	require.Contains(t, strings.Join(problem.Texts(p.Violations), " "), "--allow-exec")
	_, err := k.Prepare(t.Context(), wanted)
	require.Error(t, err, "also for what is in the catalogue from a time when it was allowed")
	wanted.Origin = registry.OriginFile
	require.NoError(t, k.Validate(wanted), "the server's own configuration is trusted")

	k = function.New(function.Config{AllowExec: true})
	for _, c := range []struct {
		document function.Document
		config   map[string]string
		want     string
	}{
		{function.Document{Exec: "relative"}, nil, "absolute path"},
		{function.Document{Exec: "/does/not/exist"}, nil, "no such program"},
		{function.Document{Exec: t.TempDir()}, nil, "no such program"},
		{function.Document{Args: []string{"a"}}, nil, "field of exec"},
		{function.Document{Exec: "/bin/sh", RuntimePort: 1}, nil, "a port of its own"},
		{function.Document{Exec: "/bin/sh", Processes: 1000}, nil, "processes is 1000"},
		{function.Document{Exec: "/bin/sh", Args: []string{"\x00"}}, nil, "without NUL"},
		{function.Document{Exec: "/bin/sh", MemorySize: -1}, nil, "memory_size is -1"},
		{function.Document{Exec: "/bin/sh", Package: strings.Repeat("0a", 32)}, nil, "a function has one program"},
		{function.Document{Package: "../../etc"}, nil, "SHA-256"},
		{function.Document{Package: strings.Repeat("0A", 32)}, nil, "SHA-256"},
		{function.Document{Package: strings.Repeat("0a", 32)}, nil, "keeps no packages"},
		{function.Document{Exec: "/bin/sh"}, map[string]string{"AWS_LAMBDA_RUNTIME_API": "x"}, "server's to set"},
		{function.Document{Exec: "/bin/sh"}, map[string]string{"_HANDLER": "x"}, "server's to set"},
		{function.Document{Exec: "/bin/sh"}, map[string]string{"LAMBDA_TASK_ROOT": "x"}, "server's to set"},
		{function.Document{Exec: "/bin/sh"}, map[string]string{"A=B": "x"}, "no variable can have"},
		{function.Document{}, map[string]string{"A": "x"}, "config is a field of exec"},
	} {
		err := k.Validate(spec("/fn", c.document, servicetest.WithConfig(c.config)))
		require.ErrorAs(t, err, &p, c.want)
		require.Contains(t, strings.Join(problem.Texts(p.Violations), " "), c.want)
	}
}

// discard is an http.ResponseWriter that discards everything.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
