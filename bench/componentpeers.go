package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// componentPeer is a server that can run a component, or the script of one.
type componentPeer struct {
	name  string
	start func(context.Context) (*server, error)
}

// componentPeers returns the servers to compare with Vespo. jco has no key-value stores, which workers import.
func (b *bench) componentPeers(g componentGuest) []componentPeer {
	if g.text == worker {
		return []componentPeer{
			{rowNode, func(ctx context.Context) (*server, error) { return b.startNode(ctx, g) }},
			{rowWorkerd, func(ctx context.Context) (*server, error) { return b.startWorkerd(ctx, g) }},
		}
	}
	return []componentPeer{
		{rowJco, func(ctx context.Context) (*server, error) { return b.startJco(ctx, g, "shared") }},
		{rowJcoFresh, func(ctx context.Context) (*server, error) {
			return b.startJco(ctx, g, "fresh", "--isolate-requests=instance")
		}},
	}
}

// freePort returns a port that was free a moment ago, for servers that do not tell which one they take.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return "", err
	}
	return port, l.Close()
}

// startJco lets jco translate a component, and runs the server that it has written: a process without parent, whose
// processor time can be measured.
func (b *bench) startJco(ctx context.Context, g componentGuest, name string, flags ...string) (*server, error) {
	jco := filepath.Join(b.projectDir(g), "node_modules", ".bin", "jco")
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, "jco-"+name, g.name)
	args := append([]string{"JCO_RUN_PATH=true", jco, "serve", b.modules[g.name], "--host", "127.0.0.1", "--port", port, "--jco-dir", dir}, flags...)
	if err := b.tool(ctx, b.dir, "env", args...); err != nil {
		return nil, err
	}
	cmd := exec.Command("node", filepath.Join(dir, "_run.js"))
	out, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	s, err := startWithin(ctx, cmd, out, "Server listening @ ", peerTimeout)
	if err != nil {
		return nil, err
	}
	s.name, s.addr, s.killed = "jco", strings.TrimSuffix(s.addr, "..."), true
	return s, nil
}

// nodeServer serves the handler of a worker with Node.js.
const nodeServer = `import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const { default: worker } = await import(pathToFileURL(process.argv[2]));
const server = createServer(async (request, response) => {
  const answer = await worker.fetch(new Request("http://" + request.headers.host + request.url, request));
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  response.end(Buffer.from(await answer.arrayBuffer()));
});
server.listen(0, "127.0.0.1", () => console.log("listening on 127.0.0.1:" + server.address().port));
`

func (b *bench) startNode(ctx context.Context, g componentGuest) (*server, error) {
	script, handler := filepath.Join(b.dir, "node.mjs"), filepath.Join(b.dir, "worker.mjs")
	if err := os.WriteFile(script, []byte(nodeServer), 0o644); err != nil {
		return nil, err
	}
	if err := os.WriteFile(handler, []byte(g.text), 0o644); err != nil {
		return nil, err
	}
	return startNodeCommand(ctx, exec.Command("node", script, handler))
}

// startNodeCommand starts a script that prints its address.
func startNodeCommand(ctx context.Context, cmd *exec.Cmd) (*server, error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s, err := startWithin(ctx, cmd, out, "listening on ", peerTimeout)
	if err != nil {
		return nil, err
	}
	s.name, s.killed = "node", true
	return s, nil
}

// workerdConfig serves one script on a port of the system's choice.
const workerdConfig = `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (modules = [(name = "worker.js", esModule = embed "worker.js")], compatibilityDate = "2026-01-01"))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`

func (b *bench) startWorkerd(ctx context.Context, g componentGuest) (*server, error) {
	dir := filepath.Join(b.dir, "workerd")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for name, text := range map[string]string{"config.capnp": workerdConfig, "worker.js": g.text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return b.serveWorkerd(ctx, dir)
}

// serveWorkerd serves the configuration in a directory.
func (b *bench) serveWorkerd(ctx context.Context, dir string) (*server, error) {
	workerd, err := b.npmTool(ctx, "workerd", workerdVersion)
	if err != nil {
		return nil, err
	}
	if workerd, err = filepath.EvalSymlinks(workerd); err != nil {
		return nil, err
	}
	cmd := b.command(workerd, "serve", "config.capnp", "--control-fd=1")
	cmd.Dir = dir
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s, err := startWithin(ctx, cmd, out, `{"event":"listen","socket":"http","port":`, peerTimeout)
	if err != nil {
		return nil, err
	}
	s.name, s.addr, s.killed = "workerd", fmt.Sprintf("127.0.0.1:%s", strings.TrimSuffix(s.addr, "}")), true
	return s, nil
}
