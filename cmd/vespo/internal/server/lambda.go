package server

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/services/control/lambda"
	"github.com/vespo-dev/vespo/services/events"
	"github.com/vespo-dev/vespo/services/events/embedded"
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
)

// lambdaDir is the Lambda API's directory within the data directory. Within it, codeDir has unpacked code, and eventsFile
// accepted events.
const (
	lambdaDir  = "lambda"
	codeDir    = "code"
	eventsFile = "events.db"
)

// openFunctions returns the kind for functions. It deletes unpacked code that no version needs, at the start and
// after each change. Paths of programs are absolute, because each program has its own working directory.
func openFunctions(ctx context.Context, list *parts.List, cfg *Config, dataDir string, catalogue *registry.Registry, log *slog.Logger) (*function.Kind, error) {
	dir, err := filepath.Abs(filepath.Join(dataDir, lambdaDir, codeDir))
	if err != nil {
		return nil, fmt.Errorf("find the data directory: %w", err)
	}
	functions := function.New(function.Config{
		Timeout:   cfg.Timeout,
		LogRate:   int64(cfg.LogRate),
		AllowExec: cfg.AllowExec,
		NoExec:    cfg.NoExec,
		Packages:  dir,
		Log:       log,
	})
	if !catalogue.Collects() {
		return functions, nil
	}
	return functions, list.Open(ctx, parts.Part{
		Name: "the unpacked code of functions",
		Run: func(ctx context.Context) error {
			for state := range catalogue.Watch(ctx) {
				if err := functions.Retain(state); err != nil {
					log.Warn("unpacked code of functions that no version needs could not be deleted", "error", err)
				}
			}
			return nil
		},
	})
}

// openLambda opens the Lambda API without its listener, if cfg enables it. Its events are waited for after the
// services have closed, which cuts off invocations that would outlast the drain.
func (c *core) openLambda(ctx context.Context, list *parts.List, cfg *Config, dataDir string, routing *router.Router, log *slog.Logger) error {
	if cfg.LambdaListen == "" {
		return nil
	}
	dir := filepath.Join(dataDir, lambdaDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of the Lambda API: %w", err)
	}
	var letters *lambda.DeadLetters
	err := list.Open(ctx, parts.Part{
		Name: "the dead letters of the Lambda API",
		Data: true,
		Open: func(context.Context) (err error) {
			letters, err = lambda.OpenDeadLetters(filepath.Join(dir, "dead-letters.jsonl"))
			return err
		},
		Close: func(context.Context) error { return letters.Close() },
	})
	if err != nil {
		return err
	}
	stored, err := c.openEvents(ctx, list, filepath.Join(dir, eventsFile), log)
	if err != nil {
		return err
	}
	handler := lambda.New(lambda.Config{
		Events:      stored,
		Shared:      c.shared != nil,
		Paused:      c.pausesEvents,
		Catalogue:   c.deployer,
		Dispatcher:  routing,
		Keys:        cfg.lambdaKeys(),
		DeadLetters: letters,
		Log:         log,
		Kinds:       lambda.Kinds{Program: function.KindName, Function: wasm.FunctionKindName, Module: wasm.Description()},
		Manage:      cfg.LambdaManage,
		Timeout:     cfg.Timeout,
		URL:         func() string { url, _ := c.public.Load().(string); return url },
	})
	c.lambda = handler
	return list.Open(ctx, parts.Part{
		Name:  "the events of the Lambda API",
		Data:  true,
		Run:   func(ctx context.Context) error { handler.Run(ctx); return nil },
		Close: func(ctx context.Context) error { handler.EndAttempts(ctx, releaseTime); return nil },
	})
}

// pausesEvents reports whether this host leaves the events of an engine to other hosts. Those in its own file no other host can run.
func (c *core) pausesEvents() bool { return c.shared != nil && c.node != nil && c.node.Draining() }

// openEvents opens the store of accepted events: the engine of the queues, or a file. If the file cannot be opened, the server
// goes on, and accepts no events.
func (c *core) openEvents(ctx context.Context, list *parts.List, path string, log *slog.Logger) (events.Store, error) {
	if c.shared != nil {
		warnOfEvents(path, log)
		return c.shared.Events(), nil
	}
	var stored events.Store
	var file *embedded.Store
	err := list.Open(ctx, parts.Part{
		Name: "the file of events",
		Data: true,
		Open: func(context.Context) (err error) {
			if file, err = embedded.Open(embedded.Config{Path: path, Log: log}); err == nil {
				stored = file
				return nil
			}
			log.Error("the accepted events of the Lambda API cannot be read: none are accepted or run; restore the file from a backup, or move it away", "error", err)
			stored = events.Refuse(err)
			return nil
		},
		Close: func(context.Context) error {
			if file == nil {
				return nil
			}
			return file.Close()
		},
	})
	return stored, err
}

// warnOfEvents logs how many events a file has that the server will not run.
func warnOfEvents(path string, log *slog.Logger) {
	if _, err := os.Stat(path); err != nil {
		return
	}
	kept, err := embedded.Open(embedded.Config{Path: path, Log: log})
	if err != nil {
		log.Warn("a file may have events that were accepted without --queues, but it cannot be read", "error", err)
		return
	}
	if n := kept.Stats().Events; n > 0 {
		log.Warn("events that were accepted without --queues wait in a file: start once without --queues to run them", "events", n, "file", path)
	}
	if err := kept.Close(); err != nil {
		log.Warn("the file of events could not be closed", "error", err)
	}
}

// lambdaKeys returns the secrets by access key id.
func (c *Config) lambdaKeys() map[string]string {
	keys := make(map[string]string, len(c.LambdaKey))
	for _, key := range c.LambdaKey {
		id, secret, _ := strings.Cut(key, ":")
		keys[id] = secret
	}
	return keys
}

// checkLambda returns the violations in the flags of the Lambda API. No message contains a secret.
func (c *Config) checkLambda() (violations problem.Violations) {
	host, _, err := net.SplitHostPort(c.LambdaListen)
	switch {
	case c.LambdaListen == "":
	case err != nil:
		violations.Add("lambda-listen", "is %q: write it like 127.0.0.1:9000", c.LambdaListen)
	case len(c.LambdaKey) == 0 && !loopbackHost(host):
		violations.Add("lambda-listen", "is %q, which other machines reach: give --lambda-key, or a loopback address such as 127.0.0.1:9000", c.LambdaListen)
	}
	seen := map[string]bool{}
	for _, key := range c.LambdaKey {
		id, secret, ok := strings.Cut(key, ":")
		if !ok || id == "" || len(secret) < minSecret || strings.ContainsAny(id, "/ ,=") {
			violations.Add("lambda-key", "must be ID:SECRET, with a secret of at least %d characters and an id without spaces and slashes", minSecret)
		} else if seen[id] {
			violations.Add("lambda-key", "has the id %q more than once", id)
		}
		seen[id] = true
	}
	return violations
}

// minSecret is the least length of a secret for the Lambda API, in bytes.
const minSecret = 16

func loopbackHost(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}
