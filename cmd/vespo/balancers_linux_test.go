package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/testdata/guests"
)

// behind is a server on a fixed address of its own, behind a balancer.
type behind struct {
	t       *testing.T
	address string
	data    string
	flags   []string
	*process
}

// fill adds the services.
func (b *behind) fill() {
	b.t.Helper()
	p, c := launch(b.t, b.data)
	for _, name := range []string{"hello", "echo"} {
		_, err := post(b.t.Context(), c, name, guests.Wat(b.t, name))
		require.NoError(b.t, err)
	}
	p.kill()
}

// start starts the server and waits until it listens.
func (b *behind) start() {
	b.t.Helper()
	var err error
	b.process, err = startProcess(exec.Command("vespo", append([]string{"serve", "--listen", b.address, "--admin-listen=off", "--no-config-file", "--data", b.data}, b.flags...)...))
	require.NoError(b.t, err)
	require.True(b.t, b.await(regexp.MustCompile(`(?m)^listening on `)), b.stderr)
}

// terminate stops the server, which has to end its requests.
func (b *behind) terminate() {
	b.t.Helper()
	require.NoError(b.t, b.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-b.exited:
	case <-time.After(hangTimeout):
		b.t.Fatal("the server did not end")
	}
	require.Equal(b.t, 0, b.cmd.ProcessState.ExitCode(), b.stderr)
}

// behindBalancer starts three servers.
func behindBalancer(t *testing.T, flags ...string) (all []*behind) {
	t.Helper()
	port := freePort(t)
	for i := range 3 {
		b := &behind{t: t, address: fmt.Sprintf("127.0.0.%d:%s", 11+i, port), data: t.TempDir(), flags: flags}
		b.fill()
		b.start()
		t.Cleanup(func() { b.kill() })
		all = append(all, b)
	}
	return all
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

// balancer is a program that is configured by a file of the documentation.
type balancer struct {
	file   string
	listen string                           // in the file
	run    func(dir, file string) *exec.Cmd // in the foreground
	flags  []string                         // of the servers
	tcp    bool
}

func balancers() map[string]balancer {
	haproxy := func(_, file string) *exec.Cmd { return exec.Command("haproxy", "-db", "-f", file) }
	return map[string]balancer{
		"nginx":       {file: "nginx.conf", listen: "listen 80;", run: runNginx},
		"caddy":       {file: "Caddyfile", listen: "http://:80 ", run: runCaddy, flags: []string{"--shutdown-delay=2s"}},
		"haproxy":     {file: "haproxy.cfg", listen: "bind :80\n", run: haproxy, flags: []string{"--shutdown-delay=3s"}},
		"haproxy-tcp": {file: "haproxy-tcp.cfg", listen: "bind :80\n", run: haproxy, flags: []string{"--shutdown-delay=2s", "--proxy-protocol"}, tcp: true},
	}
}

func runNginx(dir, file string) *exec.Cmd {
	main := filepath.Join(dir, "main.conf")
	text := fmt.Sprintf("daemon off; master_process off; pid %[1]s/pid; error_log stderr;\nevents {}\nhttp { access_log off;\n"+
		"client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;\ninclude %[2]s; }\n", dir, file)
	if err := os.WriteFile(main, []byte(text), 0o600); err != nil {
		return exec.Command("false")
	}
	return exec.Command("nginx", "-p", dir, "-c", main)
}

func runCaddy(dir, file string) *exec.Cmd {
	cmd := exec.Command("caddy", "run", "--config", file, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	return cmd
}

// start starts the balancer in front of the servers, and returns its URL.
func (b *balancer) start(t *testing.T, servers []*behind) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "balancers", b.file))
	require.NoError(t, err)
	config, dir := string(text), t.TempDir()
	replace := func(old, with string) {
		require.Contains(t, config, old)
		config = strings.ReplaceAll(config, old, with)
	}
	for i, server := range servers {
		replace(fmt.Sprintf("10.0.0.%d:8080", i+1), server.address)
	}
	address := "127.0.0.1:" + freePort(t)
	replace(b.listen, strings.NewReplacer(":80", address, " 80", " "+address).Replace(b.listen))
	if b.file == "Caddyfile" {
		config = "{\n\tadmin off\n\tauto_https off\n}\n" + config
	}
	file := filepath.Join(dir, b.file)
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	p, err := startProcess(b.run(dir, file))
	require.NoError(t, err)
	t.Cleanup(func() {
		p.kill()
		if log := p.stderr.String() + p.stdout.String(); t.Failed() {
			t.Log("the end of the balancer's log: ", log[max(0, len(log)-4000):])
		}
	})
	require.Eventually(t, func() bool {
		select {
		case <-p.exited:
			require.Fail(t, "the balancer has ended", "%s%s", p.stderr, p.stdout)
		default:
		}
		return sendTo(http.DefaultTransport, http.MethodGet, "http://"+address, "") == nil
	}, hangTimeout, 50*time.Millisecond)
	return "http://" + address
}

// sendTo sends a request that no client repeats by itself, and requires the answer of a service.
func sendTo(transport http.RoundTripper, method, url, body string) error {
	path, want := "/echo", body
	if method == http.MethodGet {
		path, want, body = "/hello", "hello from vespo\n", ""
	}
	r, err := http.NewRequest(method, url+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Close = true
	return expect(transport, r, want)
}

// clients sends requests until stop is called, which returns their failures by method.
func clients(t *testing.T, url string) (answered *atomic.Int64, stop func() map[string][]string) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var mu sync.Mutex
	failures, sent := make(map[string][]string), new(atomic.Int64)
	for i := range 8 {
		running.Go(func() {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			method := []string{http.MethodGet, http.MethodPost}[i%2]
			for ctx.Err() == nil {
				if err := sendTo(transport, method, url, strings.Repeat("x", i)); err != nil {
					mu.Lock()
					failures[method] = append(failures[method], err.Error())
					mu.Unlock()
				}
				sent.Add(1)
			}
		})
	}
	return sent, func() map[string][]string {
		cancel()
		running.Wait()
		return failures
	}
}

// TestBalancers runs balancers with the files of docs/balancers in front of three servers. While all servers are restarted one after
// the other, no request fails. When they are killed, none fails that is safe to repeat.
func TestBalancers(t *testing.T) {
	if testing.Short() {
		t.Skip("balancers are not run by -short")
	}
	for name, b := range balancers() {
		t.Run(name, func(t *testing.T) {
			program, _, _ := strings.Cut(name, "-")
			if _, err := exec.LookPath(program); err != nil {
				t.Skip(program + " is not installed")
			}
			flags := append([]string{"--trusted-proxy", "127.0.0.1"}, b.flags...)
			servers := behindBalancer(t, flags...)
			url := b.start(t, servers)
			passes := func(answered *atomic.Int64, n int64) {
				t.Helper()
				before := answered.Load()
				require.Eventually(t, func() bool { return answered.Load() >= before+n }, hangTimeout, 10*time.Millisecond)
			}
			settle := func() { <-time.After(3 * time.Second) } // the balancer notices that a server is back

			answered, stop := clients(t, url)
			for _, server := range servers {
				passes(answered, 100)
				server.terminate()
				passes(answered, 100)
				server.start()
				settle()
			}
			for method, failures := range stop() {
				require.Empty(t, failures[:min(5, len(failures))], "%s: %d of %d requests", method, len(failures), answered.Load())
			}
			t.Logf("restarts: %d requests", answered.Load())
			if b.tcp {
				return // it cannot repeat requests
			}
			answered, stop = clients(t, url)
			for _, server := range servers {
				passes(answered, 100)
				server.kill()
				passes(answered, 100)
				server.start()
				settle()
			}
			failures := stop()
			safe := failures[http.MethodGet]
			require.Empty(t, safe[:min(5, len(safe))], "%d of %d requests", len(safe), answered.Load())
			t.Logf("kills: %d requests, %d POST failed", answered.Load(), len(failures[http.MethodPost]))
		})
	}
}

// TestManyAddresses checks that a client goes on to the next address of a name when a server is gone.
func TestManyAddresses(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	servers := behindBalancer(t)
	var hosts []string
	for _, server := range servers {
		host, _, err := net.SplitHostPort(server.address)
		require.NoError(t, err)
		hosts = append(hosts, host)
	}
	_, port, err := net.SplitHostPort(servers[0].address)
	require.NoError(t, err)
	for i := range servers {
		out, err := exec.Command("curl", "-sS", "--max-time", "60", "--resolve", "www.example.com:"+port+":"+strings.Join(hosts, ","),
			"http://www.example.com:"+port+"/hello").CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Equal(t, "hello from vespo\n", string(out))
		if i+1 < len(servers) {
			servers[i].terminate()
		}
	}
}
