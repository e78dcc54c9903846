package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/linestest"
)

// TestLogOnATerminal checks that a terminal shows a log for eyes with a short line for each request, without a flag.
func TestLogOnATerminal(t *testing.T) {
	for name, c := range map[string]struct {
		flags, env    []string
		want, without string
	}{
		"colours":       {nil, nil, `(?m)^\x1b\[2m\d\d:\d\d:\d\d\.\d{3} ?\x1b\[0m ?INFO  GET /none 404 [0-9.]+ ms$`, ""},
		"NO_COLOR":      {nil, []string{"NO_COLOR=1"}, `(?m)^\d\d:\d\d:\d\d\.\d{3} INFO  GET /none 404 [0-9.]+ ms$`, "\x1b"},
		"no access log": {[]string{"--access-log=off"}, nil, `INFO  draining`, "/none"},
		"text":          {[]string{"--log=text"}, nil, `level=INFO msg="draining`, "/none"},
	} {
		t.Run(name, func(t *testing.T) {
			keyboard, tty, err := openTerminal(200)
			require.NoError(t, err)
			defer keyboard.Close()
			cmd := exec.Command("vespo", append([]string{"serve", "--listen=127.0.0.1:0", "--slots=4", "--data", t.TempDir()}, c.flags...)...)
			cmd.Env = append(os.Environ(), append([]string{"TERM=xterm", "NO_COLOR="}, c.env...)...)
			cmd.Stdout, cmd.Stderr = tty, tty
			require.NoError(t, cmd.Start())
			require.NoError(t, tty.Close())
			shown := linestest.New()
			read := make(chan struct{})
			go func() {
				defer close(read)
				_, _ = io.Copy(shown, keyboard) // fails when the server has closed the terminal
				shown.End()
			}()
			listening := regexp.MustCompile(`listening on (http://\S+)`)
			require.True(t, shown.Await(t.Context(), listening.MatchString), "%s", shown)
			r, err := http.Get(listening.FindStringSubmatch(shown.String())[1] + "/none")
			require.NoError(t, err)
			require.NoError(t, r.Body.Close())
			require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
			require.NoError(t, cmd.Wait())
			<-read
			text := strings.ReplaceAll(shown.String(), "\r\n", "\n")
			require.Regexp(t, c.want, text)
			if c.without != "" {
				require.NotContains(t, text, c.without)
			}
		})
	}
}
