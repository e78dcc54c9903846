package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/remote"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// served returns the address that a server announces.
func served(t *testing.T, p *process) string {
	t.Helper()
	listening := regexp.MustCompile(`listening on (http://[0-9.:]+[0-9])`)
	require.True(t, p.await(listening), "%s", p.stderr)
	return listening.FindStringSubmatch(p.stderr.String())[1]
}

// TestJSONLog checks that everything on standard error is JSON, also announcements, the output of guests, and the error
// that ends a server.
func TestJSONLog(t *testing.T) {
	start := func(data string, flags ...string) *process {
		p, err := startProcess(exec.Command("vespo", append([]string{"serve", "--log=json", "--listen=127.0.0.1:0", "--slots=4", "--data", data}, flags...)...))
		require.NoError(t, err)
		t.Cleanup(p.kill)
		return p
	}
	data := t.TempDir()
	p := start(data, "--lambda-listen=127.0.0.1:0", "--log-level=debug")
	url := served(t, p)
	client, err := remote.NewClient(url, "")
	require.NoError(t, err)
	_, err = post(t.Context(), client, "/chatty", guests.Wat(t, "chatty"))
	require.NoError(t, err)
	r, err := http.Get(url + "/chatty")
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, r.Body)
	require.NoError(t, r.Body.Close())
	require.True(t, p.await(regexp.MustCompile(`"msg":"guest",.*"request_id":"`+r.Header.Get("X-Request-Id")+`","line":"x`)))

	second := start(data) // another server has the directory
	<-second.exited
	require.Equal(t, 1, second.cmd.ProcessState.ExitCode())
	require.Contains(t, second.stderr.String(), `"level":"ERROR","msg":"the server has failed"`)

	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	<-p.exited
	for _, p := range []*process{p, second} {
		require.NotEmpty(t, p.stderr.String())
		for line := range strings.Lines(p.stderr.String()) {
			var record struct{ Time, Level, Msg string }
			require.NoError(t, json.Unmarshal([]byte(line), &record), line)
			require.NotEmpty(t, record.Time+record.Level+record.Msg, line)
		}
	}
	require.Empty(t, p.stdout.String(), "there are no access records by default")
}
