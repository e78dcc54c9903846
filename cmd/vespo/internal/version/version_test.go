package version

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRead(t *testing.T) {
	info := &debug.BuildInfo{
		Main:     debug.Module{Version: "v1.2.3"},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}},
	}
	for _, c := range []struct {
		stamp string
		info  *debug.BuildInfo
		line  string
		agent string
	}{
		{"", info, `^vespo v1\.2\.3 abc go\S+ \w+/\w+$`, "vespo/1.2.3"},
		{"v2.0.0-rc.1 def", info, `^vespo v2\.0\.0-rc\.1 def go\S+ \w+/\w+$`, "vespo/2.0.0-rc.1"},
		{"v2.0.0", info, `^vespo v2\.0\.0 go\S+ \w+/\w+$`, "vespo/2.0.0"},
		{"", &debug.BuildInfo{}, `^vespo \(devel\) go`, "vespo"},
	} {
		got := read(c.stamp, c.info)
		require.Regexp(t, c.line, got.String())
		require.Equal(t, c.agent, got.UserAgent())
	}
}
