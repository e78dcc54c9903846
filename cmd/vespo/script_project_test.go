package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// registryTimeout is how long the npm registry may take to respond.
const registryTimeout = 30 * time.Second

// toolVariables returns the environment variables that compilers get in
// scripts. Scripts have no HOME, from which compilers would derive them.
func toolVariables() []string {
	return []string{"GOCACHE", "GOFLAGS", "GOPROXY", "GOTOOLCHAIN", "CARGO_HOME", "RUSTUP_HOME", "npm_config_cache",
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}
}

// setupTools sets the compilers' variables: the caches of this machine, but a separate cache for npm.
func setupTools(env *testscript.Env) error {
	home, err := os.UserHomeDir()
	if err != nil {
		return err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	set := func(key, byDefault string) {
		value, ok := os.LookupEnv(key)
		if !ok {
			value = byDefault
		}
		env.Setenv(key, value)
	}
	set("GOCACHE", filepath.Join(cache, "go-build"))
	set("CARGO_HOME", filepath.Join(home, ".cargo"))
	set("RUSTUP_HOME", filepath.Join(home, ".rustup"))
	for _, key := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"} {
		set(key, "")
	}
	env.Setenv("GOTOOLCHAIN", "local")
	env.Setenv("XDG_CACHE_HOME", filepath.Join(cache, "vespo-test-workers")) // of the engine of workers
	env.Setenv("npm_config_cache", filepath.Join(env.WorkDir, ".npm"))
	return nil
}

// projectCondition implements the conditions "npm", which is that npm is installed and its registry responds, and "race",
// for the race detector.
func projectCondition(condition string) (bool, error) {
	switch condition {
	case "npm":
	case "race":
		return race, nil
	default:
		return false, fmt.Errorf("unknown condition %q", condition)
	}
	ctx, cancel := context.WithTimeout(context.Background(), registryTimeout)
	defer cancel()
	return exec.CommandContext(ctx, "npm", "view", "assemblyscript", "version").Run() == nil, nil
}

// buildCommand implements "build ARGS...", which runs "vespo build ARGS". It skips the
// script if a tool is missing, even with the distribution's tools first on the PATH.
func buildCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: build DIR FLAGS...")
	}
	for _, path := range []string{ts.Getenv("PATH"), "/usr/bin" + string(filepath.ListSeparator) + ts.Getenv("PATH")} {
		ts.Setenv("PATH", path)
		err := ts.Exec("vespo", append([]string{"build"}, args...)...)
		if err == nil {
			return
		}
		if !strings.Contains(ts.ReadFile("stderr"), " is missing: ") {
			ts.Fatalf("vespo build: %v", err)
		}
	}
	worldOf(ts).t.Skip("NOT TRIED: " + strings.TrimSpace(ts.ReadFile("stderr")))
}

// devCommand implements "dev NAME ARGS...". It starts "vespo dev ARGS" in the way of serveCommand.
func devCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: dev NAME ARGS...")
	}
	startServer(ts, args[0], append([]string{"dev", "--listen", "127.0.0.1:0"}, args[1:]...)...)
}

// launchCommand implements "launch NAME REGEXP ARGS...". It starts "vespo dev ARGS" on a port that was free, and waits
// for a line of its standard error. It sets $NAME in the way of serveCommand.
func launchCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: launch NAME REGEXP ARGS...")
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	address := free.Addr().String()
	ts.Check(free.Close())
	p, err := startProcess(command(ts, "vespo", append([]string{"dev", "--listen", address}, args[2:]...)...))
	ts.Check(err)
	worldOf(ts).servers[args[0]] = p
	if !p.await(regexp.MustCompile("(?m)" + args[1])) {
		p.kill()
		ts.Fatalf("no line matches %q:\n%s", args[1], p.stderr)
	}
	if strings.Contains(p.stderr.String(), address) {
		ts.Fatalf("the address is announced before anything serves there:\n%s", p.stderr)
	}
	ts.Setenv(args[0], "http://"+address)
}
