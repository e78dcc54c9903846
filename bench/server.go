package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vespo-dev/vespo/bench/internal/peer"
)

const (
	startTimeout = 2 * time.Minute  // includes compiling a Go guest on a busy machine
	peerTimeout  = 30 * time.Second // of a server that runs a component, once that is translated
	stopTimeout  = 10 * time.Second
)

// server is a server process.
type server struct {
	name   string
	addr   string
	admin  string // address of the console, if it is known
	cmd    *exec.Cmd
	killed bool // the process does not end by itself

	output sync.WaitGroup // the goroutine that reads the output of the process
	last   bytes.Buffer   // the output; read after output.Wait
}

// command returns the command of a server, which runs on the processors for servers.
func (b *bench) command(name string, args ...string) *exec.Cmd {
	if b.pin == "" {
		return exec.Command(name, args...)
	}
	return exec.Command("taskset", append([]string{"-c", b.pin, name}, args...)...)
}

// serverProcessors returns the number of processors for servers.
func (b *bench) serverProcessors() int {
	if b.pin == "" {
		return runtime.NumCPU()
	}
	return strings.Count(b.pin, ",") + 1
}

// startPeer starts this program as one of the peers.
func (b *bench) startPeer(ctx context.Context, kind peer.Kind, service string) (*server, error) {
	args := []string{"peer", string(kind), service}
	if kind != peer.Native && kind != peer.Fast {
		module, err := b.module(ctx, service)
		if err != nil {
			return nil, err
		}
		args = append(args, module, filepath.Join(b.keep, "code"))
	}
	return b.startPiped(ctx, string(kind), b.command(b.self, args...))
}

// startPiped starts a server that prints its address, and that ends with its standard input.
func (b *bench) startPiped(ctx context.Context, name string, cmd *exec.Cmd) (*server, error) {
	stdin, err := cmd.StdinPipe() // never written: its end signals the peer that this process has exited
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	s, err := start(ctx, cmd, out, "")
	if err != nil {
		return nil, errors.Join(err, stdin.Close())
	}
	s.name = name
	return s, nil
}

// startVespo starts a server on a data directory.
func (b *bench) startVespo(ctx context.Context, data string, flags ...string) (*server, error) {
	return b.startVespoWithin(ctx, startTimeout, data, flags...)
}

// startVespoWithin is startVespo with a limit on the time: a configuration file is applied before the server listens.
func (b *bench) startVespoWithin(ctx context.Context, limit time.Duration, data string, flags ...string) (*server, error) {
	cmd := b.command(b.vespo, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", data}, flags...)...)
	out, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	s, err := startWithin(ctx, cmd, out, "listening on http://", limit)
	if err != nil {
		return nil, err
	}
	s.name = "vespo"
	return s, nil
}

// start starts the process and waits for a line with the prefix. The rest of that line is the address.
func start(ctx context.Context, cmd *exec.Cmd, out io.Reader, prefix string) (*server, error) {
	return startWithin(ctx, cmd, out, prefix, startTimeout)
}

func startWithin(ctx context.Context, cmd *exec.Cmd, out io.Reader, prefix string, limit time.Duration) (*server, error) {
	s, addr, err := launch(cmd, out, prefix)
	if err != nil {
		return nil, err
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case s.addr = <-addr:
		if s.addr != "" {
			return s, nil
		}
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil, errors.Join(ctx.Err(), s.abandon(limit))
}

// launch starts the process. The channel receives the rest of the first line with the prefix, and is closed with the output.
func launch(cmd *exec.Cmd, out io.Reader, prefix string) (*server, <-chan string, error) {
	s := &server{cmd: cmd}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true} // keep terminal signals from the child
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	addr := make(chan string, 1)
	s.output.Go(func() {
		defer close(addr)
		lines, found := bufio.NewScanner(out), false
		for lines.Scan() {
			if rest, ok := strings.CutPrefix(lines.Text(), prefix); ok && !found {
				addr <- rest
				found = true
			}
			if s.last.Len() < 1<<16 {
				s.last.WriteString(lines.Text() + "\n")
			}
		}
	})
	return s, addr, nil
}

// abandon ends a process that did not start in time, and returns why.
func (s *server) abandon(limit time.Duration) error {
	s.kill()
	s.output.Wait()
	err := s.cmd.Wait()
	return fmt.Errorf("%s did not start within %v: %w\n%s", s.cmd.Path, limit, err, s.last.Bytes())
}

// kill ends the process and its children at once. They may have ended.
func (s *server) kill() {
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) // they are a group
}

// startOn starts a process that does not tell when it serves an address.
func (b *bench) startOn(ctx context.Context, name, addr string, cmd *exec.Cmd) (*server, error) {
	out, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	s, ended, err := launch(cmd, out, "\x00")
	if err != nil {
		return nil, err
	}
	s.name, s.addr, s.killed = name, addr, true
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			return s, conn.Close()
		}
		select {
		case <-ended:
		case <-ctx.Done():
		case <-time.After(idlePoll):
			continue
		}
		return nil, s.abandon(peerTimeout)
	}
}

// stop ends the server and waits for its end.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	timer := time.AfterFunc(stopTimeout, s.kill)
	defer timer.Stop()
	s.output.Wait()
	if err := s.cmd.Wait(); err != nil && !s.killed {
		return fmt.Errorf("%s ended badly: %w\n%s", s.name, err, s.last.Bytes())
	}
	return nil
}

func stopAll(servers []*server) error {
	var errs []error
	for _, s := range servers {
		errs = append(errs, s.stop())
	}
	return errors.Join(errs...)
}

func (s *server) cpu() (time.Duration, error) { return cpuTimes(s.cmd.Process.Pid) }
func (s *server) memory() (resident, error)   { return residentOf(s.cmd.Process.Pid) }
func (s *server) url(path string) string      { return "http://" + s.addr + path }

// add deploys a module and returns the time taken, as measured by the client.
func (s *server) add(ctx context.Context, service, file string, options url.Values) (time.Duration, error) {
	module, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	query := url.Values{"prefix": {service}}
	for name, values := range options {
		query[name] = values
	}
	began := time.Now()
	err = s.call(ctx, http.MethodPost, "/services/add?"+query.Encode(), module, nil)
	return time.Since(began), err
}

// state requests the state of a service.
func (s *server) state(ctx context.Context, service string) (string, error) {
	var view struct{ State string }
	err := s.call(ctx, http.MethodGet, "/services/inspect?prefix="+service, nil, &view)
	return view.State, err
}

// goroutines returns the number of goroutines of the server.
func (s *server) goroutines(ctx context.Context) (n float64, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+"/debug/pprof/goroutine?debug=1", nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = fmt.Fscanf(res.Body, "goroutine profile: total %f", &n)
	return n, err
}

// call makes a request to the management API.
func (s *server) call(ctx context.Context, method, path string, body []byte, view any) error {
	r, err := http.NewRequestWithContext(ctx, method, s.url(path), bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/wasm")
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode/100 != 2:
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, answer)
	case view == nil:
		return nil
	}
	return json.Unmarshal(answer, view)
}
