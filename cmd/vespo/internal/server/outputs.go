package server

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/logs"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/output"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// flushTime is how long a stopping server waits for each of its outputs to write the last lines.
const flushTime = time.Second

// Outputs are the standard output and standard error of a server. No request waits for either.
type Outputs struct {
	Streams stdio.Streams // their writers end in out and err
	Log     *slog.Logger

	out     *output.Writer
	err     *output.Writer
	form    logs.Form // immutable; of standard error
	restore func()    // immutable; undoes divertLibraries
}

// OpenOutputs returns buffered outputs for s, in the form of cfg. If both streams are one file, they share a Writer,
// so that lines keep their order. A reader that goes away no longer ends the process by SIGPIPE.
func OpenOutputs(s stdio.Streams, cfg *Config) *Outputs {
	o := &Outputs{form: cfg.Log.For(s.Err)}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // not signal.Ignore: child processes would inherit that
	made := make(chan struct{})
	defer close(made)
	notices := func(name string, stalled bool) output.Config {
		c := output.Config{Resumed: func(dropped, total int64) {
			<-made
			o.Log.Warn(fmt.Sprintf("dropped %s records: %s took none", humanize.Comma(dropped), name), "dropped", dropped, "dropped_total", total)
		}}
		if stalled {
			c.Stalled = func(err error) {
				<-made
				o.Log.Error(name+" takes no records, which are dropped", "error", err)
			}
		}
		return c
	}
	if sameFile(s.Out, s.Err) {
		o.err = output.Open(s.Err, notices("the output", false))
		o.out = o.err
	} else {
		o.err = output.Open(s.Err, notices("standard error", false))
		o.out = output.Open(s.Out, notices("standard output", true))
	}
	handler := logs.NewHandler(o.err, o.form, cfg.LogLevel, stdio.PaintFor(s.Err))
	o.Log = slog.New(handler)
	o.Streams = stdio.Streams{In: s.In, Out: o.out, Err: o.err}
	if o.form == logs.JSON {
		o.Streams.Err = logs.Lines(logs.NewHandler(o.err, o.form, slog.LevelInfo, stdio.Paint{}), slog.LevelInfo)
	}
	o.restore = divertLibraries(handler)
	return o
}

// divertLibraries sends what libraries write to the log package, such as HTTP clients about their servers, to h at
// level debug. Any upstream can cause such lines. The result ends that.
func divertLibraries(h slog.Handler) (restore func()) {
	w, flags := log.Writer(), log.Flags()
	log.SetFlags(0)
	log.SetOutput(slog.NewLogLogger(h, slog.LevelDebug).Writer())
	return func() {
		log.SetOutput(w)
		log.SetFlags(flags)
	}
}

// newServer returns a server with these outputs.
func (o *Outputs) newServer(ctx context.Context, cfg *Config, release context.CancelFunc) *server {
	s := newServer(ctx, cfg, o.Streams, o.Log)
	s.release, s.access = release, o.access(cfg)
	return s
}

// sameFile reports whether a and b are the same file, pipe or terminal.
func sameFile(a, b io.Writer) bool {
	fileA, okA := a.(*os.File)
	fileB, okB := b.(*os.File)
	if !okA || !okB {
		return false
	}
	infoA, errA := fileA.Stat()
	infoB, errB := fileB.Stat()
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// dropped returns the number of lines dropped so far.
func (o *Outputs) dropped() int64 {
	dropped := o.err.Stats().Dropped
	if o.out != o.err {
		dropped += o.out.Stats().Dropped
	}
	return dropped
}

// stats yields the state of the outputs.
func (o *Outputs) stats(yield func(name string, s output.Stats)) {
	yield("stderr", o.err.Stats())
	if o.out != o.err {
		yield("stdout", o.out.Stats())
	}
}

// Close prints err as a command does, and waits up to flushTime for each output.
// The SIGPIPE handler stays, so that the process ends with its own exit code.
func (o *Outputs) Close(err error) error {
	if o.out != o.err && !flush(o.out) { // before the log is closed, which reports the loss
		o.Log.Warn("the last records are lost: standard output takes none", "bytes", o.out.Stats().Waiting)
	}
	switch {
	case err == nil:
	case o.form == logs.JSON:
		o.Log.Error("the server has failed", "error", err)
		err = stdio.AsReported(err)
	default:
		err = o.Streams.ReportNow(err)
	}
	o.restore()
	flush(o.err)
	return err
}

func flush(w *output.Writer) bool {
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	return w.Close(ctx)
}
