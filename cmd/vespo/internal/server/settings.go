package server

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/vespo-dev/vespo/services/control/configfile"
)

// configFile is the path of a configuration file. Its settings apply where no flag is given.
type configFile string

// BeforeResolve is called by kong when the flag is given.
func (configFile) BeforeResolve(ctx *kong.Context, trace *kong.Path) error {
	path := string(ctx.FlagValue(trace.Flag).(configFile))
	file, err := configfile.ReadSettings(path)
	if err == nil {
		err = checkSettings(file)
	}
	if err != nil {
		return err
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

// pathSettings are the settings with paths, which are relative to the configuration file.
var pathSettings = [...]string{"data", "root"}

// settingsOf returns the settings of file by flag name, with paths resolved.
func settingsOf(file *configfile.File) map[string]string {
	values := make(map[string]string, len(file.Settings))
	for _, s := range file.Settings {
		values[s.Name] = s.Value
		if slices.Contains(pathSettings[:], s.Name) && s.Value != "" {
			values[s.Name] = file.Relative(s.Value)
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
	parser, err := kong.New(&into, kong.Name("vespo"), Vars(), kong.NoDefaultHelp(), kong.Writers(io.Discard, io.Discard))
	return parser, &into.Settings, err
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
			violations = append(violations, file.At(s.Name, "unknown setting %q: expected are %s", s.Name,
				strings.Join(slices.Sorted(maps.Keys(known)), ", ")))
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

// configOf returns the configuration that the file alone results in, or its violations.
func configOf(file *configfile.File) (*Config, error) {
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
func readConfig(path string, maxModuleBytes int64) (*configfile.File, *Config, error) {
	file, err := configfile.Read(path, Kinds(), maxModuleBytes)
	cfg, failed := configOf(file)
	if err == nil && failed == nil {
		return file, cfg, nil
	}
	var all, more configfile.Violations
	if err != nil && !errors.As(err, &all) || failed != nil && !errors.As(failed, &more) {
		return file, cfg, errors.Join(failed, err)
	}
	all = append(all, more...)
	slices.SortStableFunc(all, func(a, b configfile.Violation) int { return cmp.Compare(a.Line, b.Line) })
	return file, cfg, all
}
