package server

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/flags"
	"github.com/vespo-dev/vespo/internal/spelling"
	"github.com/vespo-dev/vespo/services/control/configfile"
)

// BeforeResolve is called by kong when it knows the flags that are given. Settings of the configuration file apply where no
// flag is given.
func (c *ServeCmd) BeforeResolve(ctx *kong.Context) error {
	err := flags.Empty(ctx)
	if err != nil {
		return err
	}
	if c.source, err = sourceOf(ctx); err != nil || c.source.Path == "" {
		return err
	}
	c.source.open = c.openers()
	file, err := c.source.ReadSettings()
	if err == nil {
		err = checkSettings(file)
	}
	if err == nil && c.source.found {
		err = refuseExec(file)
	}
	if err != nil {
		return c.source.explain(err)
	}
	values := settingsOf(file)
	ctx.AddResolver(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		for _, name := range append([]string{flag.Name}, flag.Aliases...) {
			if value, ok := values[name]; ok {
				return value, nil
			}
		}
		return nil, nil
	}))
	return nil
}

// sourceOf returns the configuration file that the flags ask for.
func sourceOf(ctx *kong.Context) (source, error) {
	for _, p := range ctx.Path {
		switch {
		case p.Flag == nil:
		case p.Flag.Name == "config-file":
			return named(ctx.FlagValue(p.Flag).(string)), nil
		case p.Flag.Name == "no-config-file" && ctx.FlagValue(p.Flag).(bool):
			return source{}, nil
		}
	}
	return find()
}

// refuseExec returns an error if the file lets others start programs.
func refuseExec(file *configfile.File) error {
	for _, s := range file.Settings {
		if s.Name == "allow-exec" && s.Value != "false" {
			return configfile.Violations{file.At(s.Name, "allow-exec starts programs: name the file with --config-file, or give --allow-exec")}
		}
	}
	return nil
}

// pathSettings are the settings with paths, which are relative to the configuration file.
var pathSettings = [...]string{"data", "root", "acme-ca", "admin-client-ca", "worker-client-ca", "follow-ca", "follow-cert", "follow-key"}

// pathsSettings are those with several paths.
var pathsSettings = [...]string{"tls-cert", "tls-key"}

// emptyPath reports whether a setting has an empty path, which would be the current directory.
func emptyPath(s configfile.Setting) bool {
	return slices.Contains(pathSettings[:], s.Name) && s.Value == "" ||
		slices.Contains(pathsSettings[:], s.Name) && slices.Contains(strings.Split(s.Value, ","), "")
}

// settingsOf returns the settings of file by flag name, with paths resolved.
func settingsOf(file *configfile.File) map[string]string {
	values := make(map[string]string, len(file.Settings))
	for _, s := range file.Settings {
		values[s.Name] = s.Value
		if slices.Contains(pathSettings[:], s.Name) {
			values[s.Name] = file.Relative(s.Value)
		}
		if slices.Contains(pathsSettings[:], s.Name) {
			paths := strings.Split(s.Value, ",")
			for i, path := range paths {
				paths[i] = file.Relative(path)
			}
			values[s.Name] = strings.Join(paths, ",")
		}
	}
	return values
}

// unchecked has the flags of Config without its Validate method, which checks all of them together.
type unchecked Config

// settingsParser returns a parser for settings alone, and the struct that it parses into.
func settingsParser() (*kong.Kong, *unchecked, error) {
	var into struct {
		Settings unchecked `embed:""`
	}
	parser, err := flags.New(&into, Vars(), kong.Name("vespo"), flags.Verbatim(), flags.Level(), flags.Duration(), flags.Number(), kong.NoDefaultHelp(), kong.Writers(io.Discard, io.Discard))
	return parser, &into.Settings, err
}

// Defaults returns the configuration of a server without any flags: the defaults, and what the environment says.
func Defaults() (Config, error) {
	parser, settings, err := settingsParser()
	if err == nil {
		_, err = parser.Parse(nil)
	}
	return Config(*settings), err
}

// checkSettings checks each setting on its own: its name and the syntax of its value.
func checkSettings(file *configfile.File) error {
	parser, _, err := settingsParser()
	if err != nil {
		return err
	}
	known := make(map[string]bool)
	for _, flag := range parser.Model.Flags {
		known[flag.Name] = true
		for _, alias := range flag.Aliases {
			known[alias] = true
		}
	}
	var violations configfile.Violations
	for _, s := range file.Settings {
		if !known[s.Name] {
			violations = append(violations, file.At(s.Name, "unknown setting %q%s", s.Name, spelling.Hint(s.Name, slices.Sorted(maps.Keys(known)))))
			continue
		}
		if emptyPath(s) {
			violations = append(violations, file.At(s.Name, "%s is empty: give a path, or leave the setting out", s.Name))
			continue
		}
		if _, err := parser.Parse([]string{"--" + s.Name + "=" + s.Value}); err != nil {
			violations = append(violations, file.At(s.Name, "%s", err))
		}
	}
	if len(violations) > 0 {
		return violations
	}
	return nil
}

// configOf returns the configuration that the file alone results in, in a program with these openers, or its violations.
func configOf(file *configfile.File, open Openers) (*Config, error) {
	if err := checkSettings(file); err != nil {
		return nil, err
	}
	parser, settings, err := settingsParser()
	if err != nil {
		return nil, err
	}
	var args []string
	for name, value := range settingsOf(file) {
		args = append(args, "--"+name+"="+value)
	}
	if _, err := parser.Parse(args); err != nil {
		return nil, fmt.Errorf("%s: %w", file.Path, err)
	}
	cfg := Config(*settings)
	cfg.equip(open)
	return &cfg, located(file, cfg.Validate())
}

// located adds line numbers to the violations of settings in err. It returns other errors unchanged.
func located(file *configfile.File, err error) error {
	var refused settingsError
	if !errors.As(err, &refused) {
		return err
	}
	var violations configfile.Violations
	for _, v := range refused {
		violations = append(violations, file.At(v.Field, "%s", v.About("--"+v.Field)))
	}
	return violations
}

// readConfig reads a configuration file with its services, and returns the configuration
// that it alone results in. The error has all violations, ordered by line.
func readConfig(src source, maxModuleBytes int64) (*configfile.File, *Config, error) {
	file, err := src.Read(Kinds(), maxModuleBytes)
	cfg, failed := configOf(file, src.open)
	if err == nil && failed == nil {
		return file, cfg, nil
	}
	var all, more configfile.Violations
	if err != nil && !errors.As(err, &all) || failed != nil && !errors.As(failed, &more) {
		return file, cfg, errors.Join(failed, err)
	}
	return file, cfg, all.And(more)
}
