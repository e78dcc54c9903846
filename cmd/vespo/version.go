package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// versionCmd shows the version, commit, Go version and platform of this program.
type versionCmd struct{}

// Run is called by kong.
func (c *versionCmd) Run(s streams) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return writeVersion(s.out, info)
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
