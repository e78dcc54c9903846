package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/vespo-dev/vespo/bench/internal/peer"
)

// Versions of the peers from npm. Those from Go modules are pinned in go.mod; Debian's are named in the report.
const workerdVersion = "1.20261117.1"

// Names of the rivals.
const (
	rivalVespo    = "Vespo"
	rivalNative   = "net/http"
	rivalWarm     = "Vespo (warm)"
	rivalFast     = "fasthttp"
	rivalNginx    = "nginx"
	rivalNode     = "Node.js"
	rivalWorkerd  = "workerd"
	rivalFresh    = "wazero (fresh)"
	rivalWasmtime = "wasmtime (fresh)"
	rivalShared   = "wazero (shared)"
)

// States of a handler between requests.
const (
	stateFresh  = "fresh"
	stateShared = "shared"
	stateNone   = "none" // there is no handler, but a configuration
)

// rival is a server that can do a task.
type rival struct {
	name, state string
	start       func(*bench, context.Context, *task) (*server, error)
	warm        int    // turns before it is measured; 0: warmRounds
	client      string // processors of the client, as taskset(1) takes them; empty: those it has
}

func ofPeer(kind peer.Kind) func(*bench, context.Context, *task) (*server, error) {
	return func(b *bench, ctx context.Context, t *task) (*server, error) {
		return b.startPeer(ctx, kind, t.service)
	}
}

// rivals lists all rivals in the order of the rows.
var rivals = []rival{
	{name: rivalVespo, state: stateFresh, start: (*bench).startService},
	{name: rivalWarm, state: stateFresh, start: (*bench).startWarm},
	{name: rivalNative, state: stateShared, start: ofPeer(peer.Native)},
	{name: rivalFast, state: stateShared, start: ofPeer(peer.Fast)},
	{name: rivalNginx, state: stateNone, start: (*bench).startNginx},
	{name: rivalNode, state: stateShared, start: (*bench).startNodeHandlers, warm: warmRoundsScript},
	{name: rivalWorkerd, state: stateShared, start: (*bench).startWorkerdHandlers, warm: warmRoundsScript},
	{name: rivalFresh, state: stateFresh, start: ofPeer(peer.Fresh)},
	{name: rivalWasmtime, state: stateFresh, start: (*bench).startWasmtime},
	{name: rivalShared, state: stateShared, start: ofPeer(peer.Shared)},
}

// rivalNames returns the names of all rivals.
func rivalNames() (all []string) {
	for _, r := range rivals {
		all = append(all, r.name)
	}
	return all
}

// startService starts a Vespo with the service of a task.
func (b *bench) startService(ctx context.Context, t *task) (*server, error) {
	return b.startServiceIn(ctx, "rivals-"+b.pin, t)
}

// startServiceIn starts a Vespo with the service of a task in a data directory, in which modules are compiled once.
func (b *bench) startServiceIn(ctx context.Context, data string, t *task) (*server, error) {
	module, err := b.module(ctx, t.service)
	if err != nil {
		return nil, err
	}
	s, err := b.startVespo(ctx, filepath.Join(b.dir, data), "--log-level", "warn")
	if err != nil {
		return nil, err
	}
	if _, err := s.add(ctx, t.service, module, t.options); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// startWarm starts a Vespo whose service has served the task's request before its snapshot.
func (b *bench) startWarm(ctx context.Context, t *task) (*server, error) {
	warm := *t
	warm.options = maps.Clone(t.options)
	if warm.options == nil {
		warm.options = url.Values{}
	}
	warm.options.Set("warm", t.request.Below("/"+t.service))
	return b.startServiceIn(ctx, "warm-"+b.pin, &warm)
}

// nginxConfig takes the directory, the processes, the port and the file.
const nginxConfig = `daemon off;
%[5]s
worker_processes %[2]d;
pid %[1]s/pid;
error_log stderr warn;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
  server {
    listen 127.0.0.1:%[3]s;
    location = /hello { default_type text/plain; return 200 "hello from vespo\n"; }
    location = /static { default_type "text/html; charset=utf-8"; alias %[4]s; }
  }
}
`

func (b *bench) startNginx(ctx context.Context, t *task) (*server, error) {
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		if nginx, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			return nil, err
		}
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(b.dir, "nginx-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte(t.answer), 0o644); err != nil {
		return nil, err
	}
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;" // its own user cannot read the file
	}
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, nginxConfig, dir, b.serverProcessors(), port, file, user), 0o644); err != nil {
		return nil, err
	}
	return b.startOn(ctx, "nginx", net.JoinHostPort("127.0.0.1", port), b.command(nginx, "-c", config))
}

// scripts are the workloads in JavaScript.
//
//go:embed js
var scripts embed.FS

// copyScripts writes the scripts to a directory, unless they are there.
func copyScripts(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	files, err := fs.Sub(scripts, "js")
	if err != nil {
		return err
	}
	return os.CopyFS(dir, files)
}

func (b *bench) startNodeHandlers(ctx context.Context, _ *task) (*server, error) {
	dir := filepath.Join(b.dir, "js-node")
	if err := copyScripts(dir); err != nil {
		return nil, err
	}
	return b.startNodeScript(ctx, dir, fmt.Sprint(b.serverProcessors()))
}

// startNodeScript starts the scripts in a directory, with the number of processes or "alone".
func (b *bench) startNodeScript(ctx context.Context, dir, processes string) (*server, error) {
	return startNodeCommand(ctx, b.command("node", filepath.Join(dir, "node.mjs"), processes))
}

// startWasmtime builds the server of the directory wasmtime, which is a module of its own, and starts it with the guest of a task.
func (b *bench) startWasmtime(ctx context.Context, t *task) (*server, error) {
	module, err := b.module(ctx, t.service)
	if err != nil {
		return nil, err
	}
	program := filepath.Join(b.dir, "wasmtime")
	if _, err := os.Stat(program); err != nil {
		if err := b.buildIn(ctx, filepath.Join(b.root, "bench", "wasmtime"), program, []string{"GOWORK=off", "CGO_ENABLED=1"}, "."); err != nil {
			return nil, err
		}
	}
	s, err := b.startPiped(ctx, "wasmtime", b.command(program, module))
	if err == nil {
		s.killed = true
	}
	return s, err
}

// startWorkerdHandlers starts workerd with the workloads. It may call the upstream of the task.
func (b *bench) startWorkerdHandlers(ctx context.Context, _ *task) (*server, error) {
	dir := filepath.Join(b.dir, "js-workerd")
	if err := copyScripts(dir); err != nil {
		return nil, err
	}
	modules := `(name = "worker.js", esModule = embed "worker.js"), (name = "handlers.mjs", esModule = embed "handlers.mjs")`
	const internet = `(name = "internet", network = (allow = ["public", "private", "local"]))`
	config := strings.Replace(workerdConfig, `(name = "worker.js", esModule = embed "worker.js")`, modules, 1)
	config = strings.Replace(config, "  services = [", "  services = ["+internet+", ", 1)
	if err := os.WriteFile(filepath.Join(dir, "config.capnp"), []byte(config), 0o644); err != nil {
		return nil, err
	}
	return b.serveWorkerd(ctx, dir)
}
