package project

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/flags"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/live"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/server"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/internal/tail"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
)

// maxBuildTextBytes is how much of a failed build's output a browser is shown. It is the end of the output.
const maxBuildTextBytes = 64 << 10

// dev builds a project whenever its sources change, and deploys the module.
type dev struct {
	dir      string // immutable, like all that has no other comment; absolute
	prefix   routekey.Prefix
	given    map[string]any // fields of the service, from flags
	terminal io.Writer
	own      []fs.FileInfo // regular files that are the standard output and the standard error
	quiet    bool          // print no outcome twice: the output may end in a file among the sources, as by tee
	log      *slog.Logger
	live     *live.Live

	out  string   // path of the module; open adds the directory
	addr net.Addr // set by announce, before work

	outcome string // of the last build, "" before the first; of the goroutine of work

	mu      sync.Mutex
	skipped map[string]bool // guarded by mu; reasons that were printed
}

// open creates a temporary directory, which the module and the data of the server go into. Compiled code lasts longer, in
// the user's directory for caches: the engine of a JavaScript worker alone takes longer to compile than all the rest.
func (d *dev) open(ctx context.Context, list *parts.List, cfg *server.Config) error {
	var temp string
	if err := server.OpenTemp(ctx, list, "dev", &temp); err != nil {
		return err
	}
	d.out = filepath.Join(temp, filepath.Base(d.out))
	cfg.Data = filepath.Join(temp, "data")
	cfg.SharedCode = sharedCode()
	return nil
}

// sharedCode returns a directory for compiled code that all projects of the user share, or "" if there can be none.
func sharedCode() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	dir := filepath.Join(cache, "vespo", "code")
	if os.MkdirAll(dir, 0o700) != nil || os.Chmod(dir, 0o700) != nil { // of another user, or read-only
		return ""
	}
	return dir
}

// announce keeps the address, which is printed once the first build serves.
func (d *dev) announce(addr net.Addr) { d.addr = addr }

// explainSkipped prints why a document does not reload, once for each reason.
func (d *dev) explainSkipped(path, reason string) {
	d.mu.Lock()
	known := d.skipped[reason]
	d.skipped[reason] = true
	d.mu.Unlock()
	if !known {
		fmt.Fprintf(d.terminal, "%s does not reload in browsers: %s\n", stdio.Printable(path), reason)
	}
}

// work builds and deploys until ctx ends or the sources can no longer be watched.
func (d *dev) work(ctx context.Context, deployer *deploy.Deployer) error {
	watcher, err := Watch(d.dir, d.own...)
	if err != nil {
		fmt.Fprintf(d.terminal, "changes of the sources go unnoticed, start again after them: %s\n", err)
		d.refresh(ctx, deployer)
		<-ctx.Done()
		return nil
	}
	watcher.Notify()
	defer func() { _ = watcher.Close() }() // its events are not needed any more
	greeted := false
	for err == nil {
		served := d.refresh(ctx, deployer)
		if served && !greeted {
			d.greet(ctx)
			greeted = true
		}
		err = watcher.Wait(ctx)
	}
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("watch the sources: %w", err)
}

// refresh builds and deploys once. On failure, the served version stays, and the error
// goes to the terminal and to browsers. It reports whether a new version serves.
func (d *dev) refresh(ctx context.Context, deployer *deploy.Deployer) bool {
	start := time.Now()
	d.live.Board.Begin()
	var held bytes.Buffer // the output, if it may be a repetition
	to := d.terminal
	if d.quiet && d.outcome != "" {
		to = &held
	}
	text, echo := tail.New(maxBuildTextBytes), &echo{w: to}
	version, content, err := d.deploy(ctx, deployer, io.MultiWriter(echo, text))
	took := time.Since(start)
	if ctx.Err() != nil { // the server is stopping
		return false
	}
	outcome := "serves " + content
	if err != nil {
		echo.flush()
		fmt.Fprintln(io.MultiWriter(to, text), err)
		outcome = "failed " + text.String()
	}
	repeated := d.quiet && outcome == d.outcome
	d.outcome = outcome
	if repeated {
		d.live.Board.Unchanged()
		return err == nil
	}
	_, _ = d.terminal.Write(held.Bytes()) // the terminal's errors are its own
	if err != nil {
		d.failed(text.String(), took)
		return false
	}
	version.At, version.Took = time.Now(), took
	d.live.Board.Serve(version)
	fmt.Fprintf(d.terminal, "%s built %s in %s: %s; %s serves generation %d\n", version.At.Format(time.TimeOnly),
		filepath.Base(d.out), accesslog.Time(took), humanize.IBytes(uint64(version.Bytes)), d.prefix, version.Generation)
	return true
}

// failed shows a failed build.
func (d *dev) failed(output string, took time.Duration) {
	f := live.Failure{Title: "Build failed", At: time.Now(), Took: took, Output: output}
	if p, err := Open(d.dir); err == nil {
		f.Diagnostics = p.diagnose(output)
	}
	d.live.Board.Fail(f)
	served := "no version serves yet"
	if state, _ := d.live.Board.State(); state.Served != nil {
		served = fmt.Sprintf("generation %d of %s still serves clients other than browsers", state.Served.Generation, state.Served.At.Format(time.TimeOnly))
	}
	fmt.Fprintf(d.terminal, "%s the build failed after %s; %s\n", f.At.Format(time.TimeOnly), accesslog.Time(took), served)
}

// deploy builds and deploys the project. content is the digest of the module and all options.
func (d *dev) deploy(ctx context.Context, deployer *deploy.Deployer, log io.Writer) (v live.Version, content string, err error) {
	p, err := Open(d.dir) // its settings may have changed
	if err != nil {
		return v, "", err
	}
	spec := services.Spec{
		Key:      routekey.Key{Prefix: d.prefix},
		Kind:     wasm.KindName,
		Manifest: withFlags(p.service, d.given).Manifest(),
	}
	if err := deployer.ValidateFields(spec); err != nil { // before the build, which may take long
		return v, "", err
	}
	began := time.Now()
	if v.Bytes, err = compile(ctx, p, d.out, log); err != nil {
		return v, "", err
	}
	built := time.Now()
	module, err := regular.ReadFile(d.out, flags.MaxModuleBytes)
	if err != nil {
		return v, "", err
	}
	spec.Blobs = services.Module(module)
	result, err := deployer.Add(ctx, spec)
	if err != nil {
		return v, "", err
	}
	v.Generation = uint64(result.Service.Current.Generation)
	d.log.Debug("a change is served", slog.Duration("build", built.Sub(began)), slog.Duration("deploy", time.Since(built)))
	return v, string(result.Service.Current.ContentDigest()), nil
}

// echo is a writer that holds the line of a command back until the command prints something.
type echo struct {
	w    io.Writer
	held []byte
}

// Write implements io.Writer.
func (e *echo) Write(p []byte) (int, error) {
	if bytes.HasPrefix(p, []byte("$ ")) {
		e.held = bytes.Clone(p)
		return len(p), nil
	}
	e.flush()
	return e.w.Write(p)
}

// flush prints the line that is held back.
func (e *echo) flush() {
	if len(e.held) > 0 {
		_, _ = e.w.Write(e.held) // the terminal's errors are its own
		e.held = nil
	}
}
