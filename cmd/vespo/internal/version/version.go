// Package version reads the version of this program from the program itself.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// stamp is the version and the commit, separated by a space, that release/build links in with
//
//	-ldflags "-X github.com/vespo-dev/vespo/cmd/vespo/internal/version.stamp=v1.2.3 0123abc"
//
// In other programs it is empty, and the go command has recorded what it knows.
var stamp string

// Info identifies a build of this program.
type Info struct {
	Version string // such as "v1.2.3", or "(devel)"
	Commit  string // empty if it is not known
}

// Read returns the version of this program.
func Read() Info {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return read(stamp, info)
}

// read returns the version in stamp, otherwise that in info.
func read(stamp string, info *debug.BuildInfo) Info {
	if stamp != "" {
		version, commit, _ := strings.Cut(stamp, " ")
		return Info{Version: version, Commit: commit}
	}
	i := Info{Version: info.Main.Version}
	if i.Version == "" {
		i.Version = "(devel)"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			i.Commit = setting.Value
		}
	}
	return i
}

// String returns the line of "vespo version", with the Go version and the platform.
func (i Info) String() string {
	version := i.Version
	if i.Commit != "" {
		version += " " + i.Commit
	}
	return fmt.Sprintf("vespo %s %s %s/%s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// UserAgent returns the value of User-Agent in requests of this program.
func (i Info) UserAgent() string {
	if version, ok := strings.CutPrefix(i.Version, "v"); ok {
		return "vespo/" + version
	}
	return "vespo"
}
