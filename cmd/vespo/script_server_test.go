package main

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/linestest"
)

// hangTimeout is how long a script waits for an event before it fails. "vespo dev" listens after its first build, which
// takes more than a minute beside other tests with the race detector.
const hangTimeout = 5 * time.Minute

// process is a server that a script has started.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr *linestest.Lines
	exited         chan struct{} // closed when cmd.ProcessState is set
}

func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, stdout: linestest.New(), stderr: linestest.New(), exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.stdout, p.stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait() // the script checks ProcessState
		p.stdout.End()
		p.stderr.End()
		close(p.exited)
	}()
	return p, nil
}

// kill kills the process and waits for its end.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails if it has exited
	<-p.exited
}

func (p *process) awaitExit(ts *testscript.TestScript) {
	select {
	case <-p.exited:
	case <-time.After(hangTimeout):
		p.kill()
		ts.Fatalf("the server did not exit; its standard error:\n%s", p.stderr)
	}
}

func (p *process) await(line *regexp.Regexp) bool {
	ctx, cancel := context.WithTimeout(context.Background(), hangTimeout)
	defer cancel()
	return p.stderr.Await(ctx, line.MatchString)
}

// serveCommand implements "serve NAME FLAGS...". It starts "vespo serve FLAGS" on a free port of
// 127.0.0.1 and waits until it listens. It sets $NAME to the server's URL and $NAME_ADDR to its address.
func serveCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: serve NAME FLAGS...")
	}
	startServer(ts, args[0], append([]string{"serve", "--listen", "127.0.0.1:0"}, args[1:]...)...)
}

// startServer starts "vespo ARGS" and waits until it listens.
func startServer(ts *testscript.TestScript, name string, args ...string) {
	p, err := startProcess(command(ts, "vespo", args...))
	ts.Check(err)
	worldOf(ts).servers[name] = p
	if !p.await(regexp.MustCompile(`(?m)^listening on http://.*\n`)) {
		p.kill()
		ts.Fatalf("the server did not start:\n%s", p.stderr)
	}
	address := regexp.MustCompile(`(?m)^listening on http://(.*)$`).FindStringSubmatch(p.stderr.String())[1]
	ts.Setenv(name, "http://"+address)
	ts.Setenv(name+"_ADDR", address)
}

func serverOf(ts *testscript.TestScript, name string) *process {
	p := worldOf(ts).servers[name]
	if p == nil {
		ts.Fatalf("no server is called %q", name)
	}
	return p
}

// signalCommand implements "signal NAME INT|TERM|KILL|HUP", which sends a signal to a server.
func signalCommand(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "KILL": os.Kill, "HUP": syscall.SIGHUP}
	if neg || len(args) != 2 || signals[args[1]] == nil {
		ts.Fatalf("usage: signal NAME INT|TERM|KILL|HUP")
	}
	ts.Check(serverOf(ts, args[0]).cmd.Process.Signal(signals[args[1]]))
}

// exitedCommand implements "exited NAME CODE". It waits for a server
// to exit and prints its output. The code of a killed server is -1.
func exitedCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: exited NAME CODE")
	}
	p := serverOf(ts, args[0])
	p.awaitExit(ts)
	_, _ = ts.Stdout().Write([]byte(p.stdout.String()))
	_, _ = ts.Stderr().Write([]byte(p.stderr.String()))
	if got := strconv.Itoa(p.cmd.ProcessState.ExitCode()); got != args[1] {
		ts.Fatalf("exit code %s, want %s", got, args[1])
	}
}

// loggedCommand implements "logged NAME REGEXP". It waits until the standard error of a server matches.
func loggedCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: logged NAME REGEXP")
	}
	p := serverOf(ts, args[0])
	if !p.await(regexp.MustCompile("(?m)" + strings.TrimSpace(args[1]))) {
		ts.Fatalf("the server has not logged %q:\n%s", args[1], p.stderr)
	}
}
