package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/configfile"
	"github.com/vespo-dev/vespo/services/deploy"
)

// reloader makes the services of a configuration file what is served, whenever the file or a module in it changes, or a SIGHUP comes. It
// is used by one goroutine at a time.
type reloader struct {
	path     string // immutable, like all but settings
	cfg      *Config
	deployer *deploy.Deployer
	log      *slog.Logger
	watcher  *configfile.Watcher
	hangup   <-chan os.Signal

	settings map[string]string // as the server was started with; nil before
}

// maxLoads bounds how often a file is read again that leads elsewhere each time; a change after the last is noticed.
const maxLoads = 10

// load reads the file until what is watched is what was read.
func (r *reloader) load() (*configfile.File, error) {
	for loads := 1; ; loads++ {
		file, _, err := readConfig(r.path, int64(r.cfg.MaxModule))
		if moved := r.watcher.Follow(file.Inputs()); !moved || loads == maxLoads {
			return file, err
		}
	}
}

// start applies the file for the first time. What is wrong with it is the error.
func (r *reloader) start(ctx context.Context) error {
	file, err := r.load()
	if err != nil {
		return err
	}
	r.settings = settingsOf(file)
	_, err = r.apply(ctx, file)
	return err
}

func (r *reloader) apply(ctx context.Context, file *configfile.File) (deploy.Applied, error) {
	applied, err := r.deployer.Apply(ctx, file.Specs())
	if err != nil {
		return applied, file.Locate(err)
	}
	for _, prefix := range applied.TakenOver {
		r.log.Warn("a service that was added by the management API is the configuration file's from now on", "prefix", prefix)
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

// wait returns when there may be something to reload, and reports whether a signal has asked for it; or at the end of ctx.
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

// settleTime is how long a file must have been left alone that lacks services: nobody has said that it is complete.
const settleTime = 2 * time.Second

// lacks tells whether services of the file that are served are not in it any more.
func (r *reloader) lacks(file *configfile.File) bool {
	declared := make(map[registry.Prefix]bool)
	for _, spec := range file.Specs() {
		declared[spec.Prefix] = true
	}
	return slices.ContainsFunc(r.deployer.List(), func(e deploy.Entry) bool {
		return e.Service.Current.Origin == registry.OriginFile && !declared[e.Service.Prefix]
	})
}

// reload applies the file, or tells why not and leaves all as it is.
func (r *reloader) reload(ctx context.Context, asked bool) {
	file, err := r.load()
	if err == nil && !asked && r.lacks(file) {
		r.log.Info("services are missing from the configuration, which is read again before they are removed", "file", r.path)
		if err := r.watcher.Settle(ctx, settleTime); err != nil {
			return // the end
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
		r.log.Info("configuration applied", "file", r.path, "deployed", len(applied.Deployed), "removed", len(applied.Removed))
		r.tellOfRestart(settingsOf(file))
	}
}

// refuse logs everything that is wrong, a line each.
func (r *reloader) refuse(err error) {
	r.log.Error("configuration not applied; what is served stays as it is", "file", r.path)
	var violations configfile.Violations
	if !errors.As(err, &violations) {
		r.log.Error("in the configuration", "problem", err.Error())
		return
	}
	for _, v := range violations {
		r.log.Error("in the configuration", "problem", v.String())
	}
}

// tellOfRestart names the settings that the file has changed since the server was started. Values may be secrets.
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
