package project

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/dustin/go-humanize"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// BuildCmd compiles a project.
type BuildCmd struct {
	Dir    string `arg:"" optional:"" default:"." help:"Directory of the project (the current one)."`
	Output string `short:"o" placeholder:"FILE" help:"Where the module goes (NAME.wasm in the project's directory NAME)."`
}

// Run is called by kong. The result goes to standard output; commands and their output go to standard error.
func (c *BuildCmd) Run(ctx context.Context, s stdio.Streams) error {
	ctx, release := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer release()
	p, err := Open(c.Dir)
	if err != nil {
		return err
	}
	out := cmp.Or(c.Output, filepath.Join(c.Dir, p.ModuleName()))
	sizeBytes, err := compile(ctx, p, out, s.Err)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.Out, builtLine(out, sizeBytes))
	return err
}

// compile builds the project and returns the size of the module.
func compile(ctx context.Context, p *Project, out string, log io.Writer) (sizeBytes int64, err error) {
	if err := p.Build(ctx, out, log); err != nil {
		return 0, err
	}
	info, err := os.Stat(out)
	if err != nil {
		return 0, fmt.Errorf("the build has made no module: %w", err)
	}
	return info.Size(), nil
}

func builtLine(file string, sizeBytes int64) string {
	return fmt.Sprintf("built %s: %s", file, humanize.IBytes(uint64(sizeBytes)))
}
