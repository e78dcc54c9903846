package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// versionCmd shows the version, commit, Go version and platform of this program.
type versionCmd struct{}

// Run is called by kong.
func (c *versionCmd) Run(s stdio.Streams) error {
	_, err := fmt.Fprintln(s.Out, version())
	return err
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return versionOf(info)
}

func versionOf(info *debug.BuildInfo) string {
	version := info.Main.Version
	if version == "" {
		version = "(devel)"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			version += " " + setting.Value
		}
	}
	return fmt.Sprintf("vespo %s %s %s/%s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
