package server

import (
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
	File string `arg:"" optional:"" default:"vespo.toml" help:"The configuration file (${default})."`
}

// Run is called by kong.
func (c *CheckCmd) Run(ctx context.Context, s stdio.Streams) error {
	maxModuleBytes := int64(flags.MaxModuleBytes)
	if settings, err := configfile.ReadSettings(c.File); err == nil {
		if cfg, err := configOf(settings); err == nil {
			maxModuleBytes = int64(cfg.MaxModule)
		}
	}
	file, cfg, err := readConfig(c.File, maxModuleBytes)
	if err != nil {
		return err
	}
	if err := rehearse(ctx, parts.New(ctx), cfg, file); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.Out, "%s is right: %d services\n", stdio.Printable(c.File), len(file.Specs()))
	return err
}

// rehearse prepares the services as a server with cfg would, in a temporary directory. It closes the list.
func rehearse(ctx context.Context, list *parts.List, cfg *Config, file *configfile.File) (err error) {
	defer func() { err = errors.Join(err, list.Close(drainTimeout)) }()
	var temp string
	if err := OpenTemp(ctx, list, "check", &temp); err != nil {
		return err
	}
	small := *cfg
	small.Slots, small.PerService = 1, 0
	c, err := wire(ctx, list, &small, filepath.Join(temp, "data"), slog.New(slog.DiscardHandler), access{})
	if err != nil {
		return located(file, err)
	}
	if err := c.deployer.Boot(ctx); err != nil {
		return err
	}
	return file.Locate(c.deployer.Rehearse(ctx, file.Specs(), wasm.KindName, wasm.FunctionKindName))
}
