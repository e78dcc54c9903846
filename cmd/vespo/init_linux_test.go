package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/program"
)

// leaver is a worker that leaves an orphan behind for each event.
const leaver = `#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while id=$(curl -sS -o /dev/null -D - "$api/next" | tr -d '\r' | sed -n 's/^lambda-runtime-aws-request-id: //Ip'); [ -n "$id" ]; do
	(sleep 0 &)
	curl -sS -o /dev/null -d '{"statusCode": 200, "body": "done"}' "$api/$id/response"
done
`

// procStatus is the status of a process, from /proc.
type procStatus struct {
	parent int
	zombie bool
}

// processTable returns all processes by id.
func processTable(t *testing.T) map[int]procStatus {
	t.Helper()
	all := make(map[int]procStatus)
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		id, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		require.NoError(t, err)
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		parent, err := strconv.Atoi(fields[1])
		require.NoError(t, err)
		all[id] = procStatus{parent: parent, zombie: fields[0] == "Z"}
	}
	return all
}

// zombies returns the number of zombies among the descendants of a process.
func zombies(t *testing.T, of int) (n int) {
	all := processTable(t)
	for id, p := range all {
		for at := id; at != 0; at = all[at].parent {
			if at == of {
				if p.zombie {
					n++
				}
				break
			}
		}
	}
	return n
}

// TestProcessOne checks that the server, as process 1, reaps the
// orphans of its functions, handles signals and returns its exit code.
func TestProcessOne(t *testing.T) {
	if out, err := exec.Command("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "true").CombinedOutput(); err != nil {
		t.Skipf("namespaces of processes are not to be had here: %v: %s", err, out)
	}
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("the worker needs curl")
	}
	dir := t.TempDir()
	worker := filepath.Join(dir, "worker")
	require.NoError(t, os.WriteFile(worker, []byte(leaver), 0o755))
	p, err := startProcess(exec.Command("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "vespo", "serve", "--listen=127.0.0.1:0", "--data", filepath.Join(dir, "data"), "--allow-exec"))
	require.NoError(t, err)
	t.Cleanup(p.kill)
	listening := regexp.MustCompile(`(?m)^listening on (http://.*)\n`)
	require.True(t, p.await(listening), p.stderr)
	server := listening.FindStringSubmatch(p.stderr.String())[1]
	require.NoError(t, exec.Command("vespo", "add", "fn", "--exec", worker, "--processes=1", "--server", server).Run())
	for range 20 {
		resp, err := http.Get(server + "/fn")
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, "done", string(body), p.stderr)
	}
	require.Eventually(t, func() bool { return zombies(t, p.cmd.Process.Pid) == 0 }, hangTimeout, 20*time.Millisecond)

	one := 0 // unshare's child
	for id, s := range processTable(t) {
		if s.parent == p.cmd.Process.Pid {
			one = id
		}
	}
	require.NotZero(t, one)
	require.NoError(t, syscall.Kill(one, syscall.SIGHUP))
	require.True(t, p.await(regexp.MustCompile("SIGHUP is ignored")), p.stderr)
	require.NoError(t, syscall.Kill(one, syscall.SIGTERM))
	<-p.exited
	require.Zero(t, p.cmd.ProcessState.ExitCode(), p.stderr)
}

// TestProcessOneThatFails checks that process 1 has the exit code of the failed server.
func TestProcessOneThatFails(t *testing.T) {
	if out, err := exec.Command("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "true").CombinedOutput(); err != nil {
		t.Skipf("namespaces of processes are not to be had here: %v: %s", err, out)
	}
	for args, want := range map[string]int{"serve --slots=0": program.ExitUsage, "serve --listen=192.0.2.1:0 --demo": program.ExitFailed, "version": program.ExitOK} {
		cmd := exec.Command("unshare", append([]string{"--pid", "--fork", "--kill-child", "--mount-proc", "vespo"}, strings.Fields(args)...)...)
		out, _ := cmd.CombinedOutput() // the exit code is checked below
		require.Equal(t, want, cmd.ProcessState.ExitCode(), "%s: %s", args, out)
	}
}
