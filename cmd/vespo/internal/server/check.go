package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/flags"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/services/control/configfile"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
)

// CheckCmd validates a configuration file.
type CheckCmd struct {
	File string `arg:"" optional:"" help:"The configuration file (vespo.toml in the current directory)."`

	open Openers
}

// NewCheckCmd returns the command. open opens the engines of the program: their settings are checked, none is opened.
func NewCheckCmd(open Openers) CheckCmd { return CheckCmd{open: open} }

// Run is called by kong.
func (c *CheckCmd) Run(ctx context.Context, s stdio.Streams) error {
	src, err := c.source()
	if err != nil {
		return err
	}
	src.open = c.open
	maxModuleBytes := int64(flags.MaxModuleBytes)
	if settings, err := src.ReadSettings(); err == nil {
		if cfg, err := configOf(settings, src.open); err == nil {
			maxModuleBytes = int64(cfg.MaxModule)
		}
	}
	file, cfg, err := readConfig(src, maxModuleBytes)
	var found configfile.Violations
	switch {
	case err == nil:
		err = checkServices(ctx, src, cfg, file)
	case cfg != nil && cfg.Validate() == nil && errors.As(err, &found): // the other services may have violations, too
		err = found.And(checkServices(ctx, src, cfg, file.Sound()))
	}
	if err != nil {
		return err
	}
	services := "1 service"
	if n := len(file.Specs()); n != 1 {
		services = fmt.Sprint(n, " services")
	}
	_, err = fmt.Fprintf(s.Out, "%s is right: %s\n", stdio.Printable(cmp.Or(c.File, foundName)), services)
	return err
}

// checkServices checks the services of a file as far as a server can before it serves them.
func checkServices(ctx context.Context, src source, cfg *Config, file *configfile.File) error {
	if src.found {
		if err := refuseExec(file); err != nil {
			return err
		}
	}
	if err := refuseSpecs(file, cfg.Follow); err != nil {
		return err
	}
	cfg.NoExec = src.found
	return rehearse(ctx, parts.New(ctx), cfg, file)
}

// source returns the file that is named, or the one that a server in this directory reads.
func (c *CheckCmd) source() (source, error) {
	if c.File != "" {
		return named(c.File), nil
	}
	src, err := find()
	if err == nil && src.Path == "" {
		err = fmt.Errorf("there is no %s in the current directory: name the file to check", foundName)
	}
	return src, err
}

// rehearse prepares the services as a server with cfg would, but for other hosts and engines, in a temporary directory.
// It closes the list.
func rehearse(ctx context.Context, list *parts.List, cfg *Config, file *configfile.File) (err error) {
	defer func() { err = errors.Join(err, list.Close(drainTimeout)) }()
	var temp string
	if err := OpenTemp(ctx, list, "check", &temp); err != nil {
		return err
	}
	c, err := wire(ctx, list, cfg.alone(), filepath.Join(temp, "data"), slog.New(slog.DiscardHandler), access{})
	if err != nil {
		return located(file, err)
	}
	if err := c.deployer.Boot(ctx); err != nil {
		return err
	}
	return file.Locate(c.deployer.Rehearse(ctx, file.Specs(), wasm.KindName, wasm.FunctionKindName))
}
