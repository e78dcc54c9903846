package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vespo-dev/vespo/services/egress/oci/registrytest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

func TestMain(m *testing.M) {
	testscript.Main(cleanly{m}, map[string]func(){"vespo": main})
}

// cleanly runs all tests, and then removes what they share.
type cleanly struct{ *testing.M }

// Run implements testscript.TestingM.
func (c cleanly) Run() int {
	defer compiled.remove()
	return c.M.Run()
}

// TestScript runs the command line as users do. Scripts have testscript's own commands and
// those below. The script's directory contains the guests, and $SOURCE serves it over HTTP. $SILENT never answers.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup:               func(env *testscript.Env) error { return setup(t, env) },
		Condition:           projectCondition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve":    serveCommand,
			"signal":   signalCommand,
			"exited":   exitedCommand,
			"logged":   loggedCommand,
			"exits":    exitsCommand,
			"envfile":  envfileCommand,
			"http":     httpCommand,
			"begin":    beginCommand,
			"finish":   finishCommand,
			"build":    buildCommand,
			"dev":      devCommand,
			"launch":   launchCommand,
			"worker":   workerCommand,
			"terminal": terminalCommand,
		},
	})
}

// world is the state of a running script. Commands of a script run one at a time, so it needs no lock.
type world struct {
	t       testscript.T
	servers map[string]*process
	streams map[string]*stream
}

type worldKey struct{}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

func setup(t *testing.T, env *testscript.Env) error {
	for _, name := range []string{"hello", "echo", "oom", "spin", "cat", "config", "p2echo"} {
		if err := os.WriteFile(filepath.Join(env.WorkDir, name+".wasm"), guests.Wat(t, name), 0o644); err != nil {
			return err
		}
	}
	if err := setupTools(env); err != nil {
		return err
	}
	env.Setenv("GORACE", os.Getenv("GORACE"))
	w := &world{t: env.T(), servers: map[string]*process{}, streams: map[string]*stream{}}
	env.Values[worldKey{}] = w
	env.Defer(func() {
		for _, s := range w.streams {
			s.conn.Close()
		}
		for _, p := range w.servers {
			p.kill()
		}
	})
	source := httptest.NewServer(http.FileServer(http.Dir(env.WorkDir)))
	env.Defer(source.Close)
	env.Setenv("SOURCE", source.URL)
	if err := setupSilent(env); err != nil {
		return err
	}
	return setupRegistry(env)
}

// setupSilent opens a port at $SILENT, which takes connections and never answers.
func setupSilent(env *testscript.Env) error {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	env.Defer(func() { _ = silent.Close() })
	env.Setenv("SILENT", "http://"+silent.Addr().String())
	return nil
}

// setupRegistry starts a registry at $REGISTRY, and writes docker's configuration for it into config/.
func setupRegistry(env *testscript.Env) error {
	registry := registrytest.New()
	registry.User, registry.Password, registry.Bearer = "user", "hidden", "a-registry-token"
	server := httptest.NewServer(registry)
	env.Defer(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	env.Setenv("REGISTRY", host)
	dir := filepath.Join(env.WorkDir, "config")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	auth := base64.StdEncoding.EncodeToString([]byte("user:hidden"))
	return os.WriteFile(filepath.Join(dir, "config.json"), fmt.Appendf(nil, `{"auths": {%q: {"auth": %q}}}`, host, auth), 0o600)
}

// command returns a command that runs in the script's directory with its environment.
func command(ts *testscript.TestScript, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = ts.MkAbs(".")
	variables := append(toolVariables(), "PATH", "HOME", "TMPDIR", "GOCOVERDIR", "GORACE", "NO_COLOR", "PORT", "SERVER_THREAD_COUNT", "TEST_SECRET",
		"DOCKER_CONFIG", "VESPO_SERVER", "VESPO_SERVER_TIMEOUT", "VESPO_TOKEN", "VESPO_ADMIN_TOKEN", "VESPO_FOLLOW_TOKEN", "VESPO_ADMIN_LISTEN", "VESPO_CA", "VESPO_CLIENT_CERT", "VESPO_CLIENT_KEY", "VESPO_INSECURE_HTTP")
	for _, key := range variables {
		if value := ts.Getenv(key); value != "" {
			cmd.Env = append(cmd.Env, key+"="+value)
		}
	}
	return cmd
}

// envfileCommand implements "envfile NAME FILE", which sets a variable to the text of a file.
func envfileCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: envfile NAME FILE")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// exitsCommand implements "exits CODE NAME ARGS...", which runs a command and checks its exit code.
func exitsCommand(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE NAME ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	cmd := command(ts, args[1], args[2:]...)
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		ts.Check(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}
