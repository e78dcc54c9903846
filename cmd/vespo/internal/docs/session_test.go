package docs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/linestest"
)

// commandTimeout is how long a command may take, and how long a server may take until it listens.
const commandTimeout = 3 * time.Minute

var (
	// server matches a command that serves until it is stopped. A reader runs it in a terminal of its own.
	server    = regexp.MustCompile(`^(\w+=\S+ )*(\S*vespo|go run \S+) (serve|dev)( |$)`)
	listening = regexp.MustCompile(`(?m)^listening on http`)
)

// session is a bash that runs the commands of one page. What a command starts with "&" and the servers
// have another output than the commands, as they would have in another terminal.
type session struct {
	dir      string // with the scripts
	commands *os.File
	output   *linestest.Lines
	servers  *linestest.Lines
	count    int
	running  bool // a server is in the foreground
	goRun    bool // it was started by "go run"
	exited   <-chan struct{}
}

// newSession starts a bash in dir. It ends with the test, with all that it has started.
func newSession(t *testing.T, dir string, env []string, isolated bool) *session {
	t.Helper()
	s := &session{dir: t.TempDir(), output: linestest.New(), servers: linestest.New()}
	read, commands, err := os.Pipe()
	require.NoError(t, err)
	s.commands = commands
	out, serversOut := pipe(t, s.output), pipe(t, s.servers)

	bash, err := shell(`set -m; trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT; while read -r line <&3; do eval "$line"; done`, isolated)
	require.NoError(t, err)
	bash.Dir, bash.Env = dir, append(bash.Env, env...)
	bash.Stdout, bash.Stderr, bash.ExtraFiles = out, out, []*os.File{read, serversOut}
	require.NoError(t, bash.Start())
	for _, f := range []*os.File{read, out, serversOut} {
		f.Close()
	}
	exited := make(chan struct{})
	s.exited = exited
	go func() {
		_ = bash.Wait() // a command that fails is noticed by its code
		s.output.End()
		close(exited)
	}()
	t.Cleanup(func() {
		commands.Close()
		select {
		case <-exited:
		case <-time.After(10 * time.Second):
		}
		killSession(bash.Process.Pid)
		<-exited
	})
	return s
}

// pipe returns the end of a pipe whose text is collected. The goroutine ends when all writers have closed it.
func pipe(t *testing.T, to *linestest.Lines) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer r.Close()
		buffer := make([]byte, 4096)
		for {
			n, err := r.Read(buffer)
			_, _ = to.Write(buffer[:n])
			if err != nil {
				return
			}
		}
	}()
	return w
}

// run runs a text of one or more commands, each of which has to succeed.
func (s *session) run(text string) error {
	commands, err := split(text)
	if err != nil {
		return err
	}
	for _, c := range commands {
		if out, code, err := s.one(c); err != nil {
			return fmt.Errorf("%s%w\n%s", c, err, out)
		} else if code != 0 {
			return fmt.Errorf("%sexit code %d\n%s\nthe servers' output:\n%s", c, code, out, s.servers)
		}
	}
	return nil
}

// compare runs a command and compares its output with the one that is shown. A command without output has to succeed.
func (s *session) compare(c command) error {
	out, code, err := s.one(c.text)
	switch {
	case err != nil:
		return fmt.Errorf("%s%w\n%s", c.text, err, out)
	case !same(c.shown, out):
		return fmt.Errorf("%sthe page shows:\n%s\nthe output is (exit code %d):\n%s\nthe servers' output:\n%s", c.text, c.shown, code, out, s.servers)
	case strings.TrimSpace(c.shown) == "" && code != 0:
		return fmt.Errorf("%sexit code %d", c.text, code)
	}
	return nil
}

// one runs one command.
func (s *session) one(text string) (out string, code int, err error) {
	text = strings.TrimRight(text, "\n")
	background, job := strings.CutSuffix(text, "&")
	job = job && !strings.HasSuffix(background, "&")
	switch {
	case server.MatchString(text):
		return "", 0, s.serve(background, job)
	case job:
		text = "{ " + background + "\n} >&4 2>&4 &"
	}
	return s.source(text)
}

// serve starts a server, as a job or in a terminal of its own, and waits until it listens.
func (s *session) serve(text string, job bool) error {
	if err := s.interrupt(); err != nil {
		return err
	}
	before := len(s.servers.String())
	end := fmt.Sprintf("== exit code of server %d: ", s.count)
	text = "{ " + text + "\n code=$?; echo \"" + end + "$code\"; exit $code; } >&4 2>&4 &"
	if !job {
		s.running, s.goRun = true, strings.Contains(text, "go run ")
		text += " terminal=$!"
	}
	if _, _, err := s.source(text); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	settled := func(text string) bool { return listening.MatchString(text[before:]) || strings.Contains(text, end) }
	if !s.servers.Await(ctx, settled) || !listening.MatchString(s.servers.String()[before:]) {
		return fmt.Errorf("the server does not listen:\n%s", s.servers.String()[before:])
	}
	if strings.Contains(text, "vespo dev") {
		_, _, err := s.source("curl -sf --retry 60 --retry-delay 1 --retry-all-errors http://127.0.0.1:8080/")
		return err
	}
	return nil
}

// interrupt stops the server in the foreground, as Ctrl-C does. It has to end well; "go run" exits with 1 all the same.
func (s *session) interrupt() error {
	if !s.running {
		return nil
	}
	s.running = false
	_, code, err := s.source(`kill -INT -- -$terminal; wait $terminal`)
	if err == nil && code != 0 && !s.goRun {
		err = fmt.Errorf("exit code %d of the server that was interrupted\n%s", code, s.servers)
	}
	return err
}

// source lets bash run a text, and returns what it prints and its exit code.
func (s *session) source(text string) (out string, code int, err error) {
	s.count++
	script := filepath.Join(s.dir, strconv.Itoa(s.count))
	if err := os.WriteFile(script, []byte(text+"\n"), 0o600); err != nil {
		return "", 0, err
	}
	before := len(s.output.String())
	if _, err := fmt.Fprintf(s.commands, ". '%s' </dev/null 3<&-; code=$?; echo; echo \"== end of %d: $code\"\n", script, s.count); err != nil {
		return "", 0, err
	}
	end := regexp.MustCompile(fmt.Sprintf(`(?m)^== end of %d: (\d+)\n`, s.count))
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	if !s.output.Await(ctx, func(text string) bool { return end.MatchString(text[before:]) }) {
		return s.output.String()[before:] + s.servers.String(), 0, errors.New("the command does not end")
	}
	text = s.output.String()[before:]
	at := end.FindStringSubmatchIndex(text)
	code, err = strconv.Atoi(text[at[2]:at[3]])
	return strings.TrimSuffix(text[:at[0]], "\n"), code, err
}

// split splits a text into commands: the shortest runs of lines that bash accepts.
func split(text string) (commands []string, err error) {
	var pending string
	for line := range strings.Lines(text) {
		if pending += line; strings.TrimSpace(pending) == "" {
			pending = ""
			continue
		}
		if strings.HasSuffix(line, "\\\n") {
			continue
		}
		check := exec.Command("bash", "-n")
		check.Stdin = strings.NewReader(pending)
		var complaints bytes.Buffer // also of a here-document that does not end, for which the exit code is 0
		check.Stderr = &complaints
		if check.Run() == nil && complaints.Len() == 0 {
			commands, pending = append(commands, pending), ""
		}
	}
	if pending != "" {
		return nil, fmt.Errorf("bash does not accept this: %s", pending)
	}
	return commands, nil
}
