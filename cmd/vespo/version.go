package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// versionCmd shows the version, commit, Go version and platform of this program.
type versionCmd struct{}

// Run is called by kong.
func (c *versionCmd) Run(s stdio.Streams) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return writeVersion(s.Out, info)
}

func writeVersion(w io.Writer, info *debug.BuildInfo) error {
	version := info.Main.Version
	if version == "" {
		version = "(devel)"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			version += " " + setting.Value
		}
	}
	_, err := fmt.Fprintf(w, "vespo %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
