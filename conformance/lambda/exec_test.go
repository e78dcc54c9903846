package lambda

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/conformance/internal/program"
)

// TestExec checks a program built with aws-lambda-go that the server starts.
func TestExec(t *testing.T) {
	s := serve(t, "--allow-exec", "--lambda-listen", "127.0.0.1:0", "--idle", "500ms")
	s.Vespo("add", "fn", "--exec", built.bootstrap, "--processes", "2")
	require.Equal(t, 201, s.do("GET", "/fn", "").StatusCode)
	require.Equal(t, 502, s.do("GET", "/fn/exit", "").StatusCode)
	require.Equal(t, 201, s.do("GET", "/fn", "").StatusCode)
	out, err := client(s.lambdaURL(), secret).Invoke(t.Context(), &sdk.InvokeInput{
		FunctionName: aws.String("fn"),
		LogType:      types.LogTypeTail,
		Payload:      []byte(`{"do":"print","text":"what it says"}`),
	})
	require.NoError(t, err)
	log, err := base64.StdEncoding.DecodeString(*out.LogResult)
	require.NoError(t, err)
	require.Contains(t, string(log), "what it says")
	for !strings.Contains(s.Vespo("inspect", "fn"), "0 of 2 processes") { // wait until it has scaled to zero
	}
	require.Equal(t, 201, s.do("GET", "/fn", "").StatusCode, "and back")

	s.Vespo("add", "fn", "--exec", built.bootstrap, "--processes", "1", "--worker-concurrency", "8")
	var clients sync.WaitGroup
	for range 16 {
		clients.Go(func() {
			for range 10 {
				if a := s.do("GET", "/fn/slow", ""); a.StatusCode != 201 {
					t.Errorf("%d: %s", a.StatusCode, a.body)
				}
			}
		})
	}
	clients.Wait()
}

// TestModule invokes a WebAssembly module, a command that reads its event from standard input.
func TestModule(t *testing.T) {
	s := serve(t, "--lambda-listen", "127.0.0.1:0")
	module := t.TempDir() + "/function.wasm"
	cmd := exec.Command("go", "build", "-o", module, "./testdata/guests/src/gofunction")
	cmd.Dir, cmd.Env = "../..", append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, s.Vespo("add", "fn", module, "--function"), "added /fn: version 1, command")
	a := s.do("POST", "/fn/answer", "it")
	require.Equal(t, 201, a.StatusCode)
	require.Equal(t, "got it", a.body)
	c := client(s.lambdaURL(), secret)
	for payload, want := range map[string]string{`{"a":1}`: "", `{"do":"exit"}`: "Unhandled", `{"do":"panic"}`: "Unhandled"} {
		out, err := c.Invoke(t.Context(), &sdk.InvokeInput{FunctionName: aws.String("fn"), Payload: []byte(payload), LogType: types.LogTypeTail})
		require.NoError(t, err)
		require.Equal(t, want, aws.ToString(out.FunctionError))
		log, err := base64.StdEncoding.DecodeString(*out.LogResult)
		require.NoError(t, err)
		require.Contains(t, string(log), "got ")
	}
	s.Vespo("add", "fn", module, "--function", "--memory", "8MiB")
	s.Vespo("rollback", "fn")
	require.Equal(t, 201, s.do("POST", "/fn/answer", "it").StatusCode)
}

// TestExecEndsWithServer kills the server with SIGKILL. Its children must end too.
func TestExecEndsWithServer(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends children")
	}
	s := serve(t, "--allow-exec")
	s.Vespo("add", "fn", "--exec", built.bootstrap)
	require.Equal(t, 201, s.do("GET", "/fn", "").StatusCode)
	children := childrenOf(t, s.PID())
	require.Len(t, children, 1)
	s.Stop(syscall.SIGKILL)
	require.Eventually(t, func() bool {
		stat, err := os.ReadFile("/proc/" + children[0] + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	}, program.HangTimeout, 1e6)
}

// TestExecWantsPermission checks that programs, both existing and new ones, are refused without --allow-exec.
func TestExecWantsPermission(t *testing.T) {
	data := t.TempDir()
	s := serve(t, "--allow-exec", "--data", data)
	s.Vespo("add", "fn", "--exec", built.bootstrap)
	s.Stop(syscall.SIGTERM)
	s = serve(t, "--data", data)
	require.Equal(t, 503, s.do("GET", "/fn", "").StatusCode)
	require.Contains(t, s.Vespo("inspect", "fn"), "--allow-exec")
	a := s.do("POST", "/services/add?prefix=other&exec=/bin/sh", "")
	require.Equal(t, 400, a.StatusCode)
	require.Contains(t, a.body, "--allow-exec")
}

// TestExecByConfigurationFile checks that programs in the server's own configuration need no flag.
func TestExecByConfigurationFile(t *testing.T) {
	file := t.TempDir() + "/vespo.toml"
	text := fmt.Sprintf("[[service]]\nprefix = \"fn\"\nexec = %q\nprocesses = 1\n[service.config]\nGREETING = \"hello\"\n", built.bootstrap)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	s := serve(t, "--config-file", file)
	require.Equal(t, 201, s.do("GET", "/fn", "").StatusCode)
	require.Contains(t, s.Vespo("inspect", "fn"), "1 of 1 processes")
	a := s.do("POST", "/services/add?prefix=other&exec=/bin/sh", "")
	require.Equal(t, 400, a.StatusCode, "the management API stays what it is")
}

// childrenOf returns the ids of a process's children.
func childrenOf(t *testing.T, pid int) (children []string) {
	t.Helper()
	tasks, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	require.NoError(t, err)
	for _, task := range tasks {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/task/" + task.Name() + "/children")
		require.NoError(t, err)
		children = append(children, strings.Fields(string(text))...)
	}
	return children
}
