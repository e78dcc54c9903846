package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/bench/internal/load"
	"github.com/vespo-dev/vespo/bench/internal/report"
)

const (
	// answerPoll is the time between two requests for the new answer.
	answerPoll = 2 * time.Millisecond
	// answerTimeout limits the wait for it.
	answerTimeout = time.Minute
	// messageServed is the last line of the log about a change.
	messageServed = "a change is served"
	// devGreeting is the text that a new project answers with.
	devGreeting = "hello from "
)

// deployParts are the rows of the table: the parts of a deploy, by the messages in the log of "vespo dev" and their attributes.
var deployParts = []struct{ title, message, attr string }{
	{"build: go build", messageServed, "build"},
	{"deploy: all of the following", messageServed, "deploy"},
	{"- read and validate the module", "a module was read", "took"},
	{"- rewrite it", "a module was rewritten", "took"},
	{"- load it into the interpreter", "a module was loaded by the interpreter", "took"},
	{"- initialise the guest, take the snapshot", "a module was prepared", "took"},
}

// deploy measures the loop of a developer: a line of a project is changed under "vespo dev", until the new answer.
func (b *bench) deploy(ctx context.Context) error {
	parts := map[string]report.Sample{}
	d, err := b.startDev(ctx)
	if err != nil {
		return err
	}
	for i := range b.repeats {
		if err := d.change(ctx, i, parts); err != nil {
			return errors.Join(err, d.stop())
		}
	}
	if err := d.stop(); err != nil {
		return err
	}
	t := &report.Table{
		Title:  "From a saved change to its answer: standard Go with the SDK, vespo dev",
		Header: []string{"part", "time"},
		Notes: []string{fmt.Sprintf("Medians of %d. Each change of a text changes the code, too, so that nothing compiled before serves. The client asks every %v.",
			b.repeats, answerPoll)},
	}
	t.Add("notice the change", milliseconds(parts[rowNotice]))
	for _, part := range deployParts {
		t.Add(part.title, milliseconds(parts[part.title]))
	}
	t.Add("ask for the answer", milliseconds(parts[rowAsk]))
	t.Add("all", milliseconds(parts[rowAll]))
	t.Add("processor time of the server", milliseconds(parts[rowServerCPU]))
	t.Add("processor time of its children that have ended", milliseconds(parts[rowChildCPU]))
	b.goals = append(b.goals, report.AtMost("vespo dev: seconds from a saved change to its answer", 1, parts[rowAll].Median(), "%.2f"))
	return t.Write(b.out)
}

func milliseconds(s report.Sample) string { return fmt.Sprintf("%.0f ms", 1e3*s.Median()) }

// Names of the figures that are measured here.
const (
	rowNotice    = "notice"
	rowAsk       = "ask"
	rowAll       = "all"
	rowServerCPU = "server"
	rowChildCPU  = "children"
)

// devServer is a "vespo dev" with its project.
type devServer struct {
	*server
	project string
	seen    *devLog
	client  *load.Client
}

// startDev makes a project and serves it.
func (b *bench) startDev(ctx context.Context) (*devServer, error) {
	d := &devServer{project: filepath.Join(b.dir, "project"), seen: &devLog{}}
	if text, err := exec.CommandContext(ctx, b.vespo, "new", "--template", "go", d.project).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("vespo new: %w\n%s", err, text)
	}
	goCache, err := exec.CommandContext(ctx, "go", "env", "GOCACHE").Output()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(b.vespo, "dev", "--listen", "127.0.0.1:0", "--log-level", "debug", d.project)
	// Nothing compiled by an earlier run serves.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOCACHE="+string(bytes.TrimSpace(goCache)), "XDG_CACHE_HOME="+filepath.Join(b.dir, "cache"))
	out, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if d.server, err = start(ctx, cmd, io.TeeReader(out, d.seen), "listening on http://"); err != nil {
		return nil, err
	}
	d.name = "vespo dev"
	d.addr = strings.TrimSuffix(d.addr, "/")
	if d.client, err = load.Dial(d.addr, "/", 1); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

func (d *devServer) stop() error {
	var err error
	if d.client != nil {
		err = d.client.Close()
	}
	return errors.Join(err, d.server.stop())
}

// change makes the i-th change and adds its figures.
func (d *devServer) change(ctx context.Context, i int, parts map[string]report.Sample) error {
	file := filepath.Join(d.project, "main.go")
	source, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before := devGreeting + strings.Repeat("and from ", i)
	after := before + "and from "
	changed := bytes.Replace(source, []byte(before), []byte(after), 1)
	if bytes.Equal(source, changed) {
		return fmt.Errorf("%s has no greeting %q", file, before)
	}
	d.seen.forget()
	cpu, children, err := devTimes(d.cmd.Process.Pid)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, changed, 0o600); err != nil {
		return err
	}
	saved := time.Now()
	if err := d.await(ctx, after); err != nil {
		return err
	}
	answered := time.Now()
	if err := d.served(ctx); err != nil { // a request may be faster than the log
		return err
	}
	cpuNow, childrenNow, err := devTimes(d.cmd.Process.Pid)
	if err != nil {
		return err
	}
	add := func(name string, took time.Duration) { parts[name] = append(parts[name], took.Seconds()) }
	figures := map[string]time.Duration{}
	for _, part := range deployParts {
		figures[part.title] = d.seen.find(part.message, part.attr)
		add(part.title, figures[part.title])
	}
	served := d.seen.at(messageServed)
	add(rowNotice, min(served.Sub(saved), answered.Sub(saved))-figures[deployParts[0].title]-figures[deployParts[1].title])
	add(rowAsk, max(0, answered.Sub(served)))
	add(rowAll, answered.Sub(saved))
	add(rowServerCPU, cpuNow-cpu)
	add(rowChildCPU, childrenNow-children)
	return nil
}

// await asks until an answer begins with the text.
func (d *devServer) await(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	for ctx.Err() == nil {
		status, answer, err := d.client.Get()
		if err != nil {
			return err
		}
		if status == 200 && strings.HasPrefix(answer, text) {
			return nil
		}
		time.Sleep(answerPoll)
	}
	return fmt.Errorf("no answer begins with %q: %w\n%s", text, ctx.Err(), d.seen.text())
}

// served waits for the last line about a change.
func (d *devServer) served(ctx context.Context) error {
	for begin := time.Now(); d.seen.at(messageServed).IsZero(); time.Sleep(answerPoll) {
		if ctx.Err() != nil || time.Since(begin) > answerTimeout {
			return errors.Join(ctx.Err(), errors.New("the change is served, and the log does not say so"))
		}
	}
	return nil
}

// devLog keeps the lines of a log, with the time of their arrival.
type devLog struct {
	mu    sync.Mutex
	rest  []byte
	lines []string
	times []time.Time
}

// Write implements io.Writer.
func (l *devLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.rest = append(l.rest, p...)
	for {
		line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		l.lines, l.times, l.rest = append(l.lines, string(line)), append(l.times, now), rest
	}
}

func (l *devLog) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines, l.times = nil, nil
}

func (l *devLog) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// find returns the duration in the last line with a message, or 0.
func (l *devLog) find(message, attr string) (took time.Duration) {
	pattern := regexp.MustCompile(regexp.QuoteMeta(message) + `.*\b` + attr + `=(\S+)`)
	lines := bufio.NewScanner(strings.NewReader(l.text()))
	for lines.Scan() {
		if m := pattern.FindStringSubmatch(lines.Text()); m != nil {
			took, _ = time.ParseDuration(m[1]) // of slog
		}
	}
	return took
}

// at returns when the last line with a message arrived.
func (l *devLog) at(message string) (at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, line := range l.lines {
		if strings.Contains(line, message) {
			at = l.times[i]
		}
	}
	return at
}
