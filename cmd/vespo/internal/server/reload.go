package server

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/configfile"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/control/identity"
)

// reloader applies a configuration file at the start and again whenever the file
// or a module in it changes, or on SIGHUP. It is used by one goroutine at a time.
type reloader struct {
	source   source // immutable, like all below but watcher and settings
	cfg      *Config
	deployer *deploy.Deployer
	log      *slog.Logger
	hangup   <-chan os.Signal
	watcher  *configfile.Watcher // set by openWatcher

	settings map[string]string // at the server's start; nil before
}

// openWatcher opens the watcher of the file, as a part of list.
func (r *reloader) openWatcher(ctx context.Context, list *parts.List) error {
	return list.Open(ctx, parts.Part{
		Name: "the watcher of the configuration",
		Open: func(context.Context) error {
			r.watcher = configfile.NewWatcher(func(err error) {
				r.log.Warn("the system does not report changes of the configuration: its files are looked at instead; SIGHUP reads them at once",
					"every", configfile.PollInterval, "error", err)
			})
			return nil
		},
		Close: func(context.Context) error { return r.watcher.Close() },
	})
}

// maxLoads is the most times that load reads a file whose inputs keep
// changing. A change after the last read is noticed by the watcher.
const maxLoads = 10

// load reads the file, and again until the watched inputs are those of the read file.
func (r *reloader) load() (*configfile.File, error) {
	for loads := 1; ; loads++ {
		file, _, err := readConfig(r.source, int64(r.cfg.MaxModule))
		if moved := r.watcher.Follow(file.Inputs()); !moved || loads == maxLoads {
			return file, err
		}
	}
}

// start applies the file for the first time. It returns an error if the file is invalid.
func (r *reloader) start(ctx context.Context) error {
	file, err := r.load()
	if err != nil {
		return r.source.explain(err)
	}
	r.settings = settingsOf(file)
	_, err = r.apply(ctx, file)
	return r.source.explain(err)
}

func (r *reloader) apply(ctx context.Context, file *configfile.File) (deploy.Applied, error) {
	ctx, stop := identity.With(ctx, identity.File())
	defer stop()
	applied, err := r.deployer.ApplyBy(ctx, file.Specs(), file.Hows())
	if err != nil {
		return applied, file.Locate(err)
	}
	for _, key := range applied.TakenOver {
		r.log.Warn("a service that was added by the management API is the configuration file's from now on", "prefix", key)
	}
	if r.cfg.Store != "" && len(applied.Removed) > 0 {
		r.log.Warn("services were removed for all hosts of the store, as this file does not declare them: give all hosts the same file, or let one alone have services",
			"file", r.source.Path, "prefixes", applied.Removed)
	}
	return applied, nil
}

// work reloads until ctx ends.
func (r *reloader) work(ctx context.Context) {
	for {
		asked := r.wait(ctx)
		if ctx.Err() != nil {
			return
		}
		r.reload(ctx, asked)
	}
}

// wait returns when a reload may be needed, or ctx ends. It reports whether a signal asked for the reload.
func (r *reloader) wait(ctx context.Context) (asked bool) {
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	changed := make(chan error, 1)
	go func() { changed <- r.watcher.Wait(waiting) }()
	select {
	case <-r.hangup:
		stop()
		<-changed
		return true
	case <-changed:
		return false
	}
}

// settleTime is how long a file that lacks services must stay unchanged
// before they are removed. Until then it may be half written.
const settleTime = 2 * time.Second

// lacks reports whether file omits services that an earlier version of it declared and that are still served.
func (r *reloader) lacks(file *configfile.File) bool {
	declared := make(map[routekey.Key]bool)
	for _, spec := range file.Specs() {
		declared[spec.Key] = true
	}
	return slices.ContainsFunc(r.deployer.List(), func(e deploy.Entry) bool {
		return e.Service.Current.Origin == registry.OriginFile && !declared[e.Service.Key]
	})
}

// reload applies the file. On an error it logs the cause and changes nothing.
func (r *reloader) reload(ctx context.Context, asked bool) {
	file, err := r.load()
	if err == nil && !asked && r.lacks(file) {
		r.log.Info("services are missing from the configuration, which is read again before they are removed", "file", r.source.Path)
		if err := r.watcher.Settle(ctx, settleTime); err != nil {
			return // ctx has ended
		}
		file, err = r.load()
	}
	var applied deploy.Applied
	if err == nil {
		applied, err = r.apply(ctx, file)
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		r.refuse(err)
	default:
		r.log.Info("configuration applied", "file", r.source.Path, "deployed", len(applied.Deployed), "removed", len(applied.Removed))
		r.tellOfRestart(settingsOf(file))
	}
}

// refuse logs every violation, one record each.
func (r *reloader) refuse(err error) {
	r.log.Error("configuration not applied; the services stay as they are", "file", r.source.Path)
	var violations configfile.Violations
	if !errors.As(err, &violations) {
		r.log.Error("in the configuration", "problem", err.Error())
		return
	}
	for _, v := range violations {
		r.log.Error("in the configuration", "problem", v.String())
	}
}

// tellOfRestart logs the names of the settings that have changed
// since the server's start. Values are omitted: they may be secrets.
func (r *reloader) tellOfRestart(now map[string]string) {
	both := maps.Clone(now)
	maps.Copy(both, r.settings)
	changed := slices.DeleteFunc(slices.Sorted(maps.Keys(both)), func(name string) bool {
		was, had := r.settings[name]
		is, has := now[name]
		return was == is && had == has
	})
	if len(changed) > 0 {
		r.log.Warn("settings have changed that take effect with the next start of the server alone", "settings", changed)
	}
}
