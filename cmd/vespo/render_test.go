package main

import (
	"bytes"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWriteService(t *testing.T) {
	s := &service{
		version:     version{Digest: "sha256:0123456789abcdef", Generation: 3, Memory: 1 << 20, Isolation: "fresh", Size: 2048},
		Prefix:      "/a",
		FreshReason: "it uses table.set",
		State:       "failed",
		Problem:     "the module\x1b is gone",
		History:     []version{{Digest: "sha256:fedcba9876543210", Generation: 2, Timeout: "3s"}},
	}
	var b bytes.Buffer
	require.NoError(t, writeService(&b, s))
	require.Equal(t, `prefix      /a
state       failed
problem     the module�`+` is gone
digest      sha256:0123456789abcdef
generation  3
deployed    -
abi         -
memory      1.0 MiB
isolation   fresh
because     it uses table.set
size        2.0 KiB
snapshot    -
warm        0
in flight   0
last used   -

earlier versions, the latest first:
GENERATION  DIGEST        KIND  SIZE  MEMORY  TIMEOUT  ISOLATION  DEPLOYED
2           fedcba987654  -     -     -       3s       -          -
`, b.String())
}

func TestWriteDeployed(t *testing.T) {
	s := &service{version: version{Digest: "sha256:00", Generation: 1, Isolation: "fresh", Size: 10}, Prefix: "/", ABI: "cgi", FreshReason: "why"}
	var b bytes.Buffer
	require.NoError(t, writeDeployed(&b, "added", "http://h", s))
	require.Equal(t, "added /: generation 1, cgi, 10 B, memory -, isolation fresh\n"+
		"each request gets a fresh instance: why\nsha256:00\nhttp://h/\n", b.String())
}

func TestShown(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)
	require.Equal(t, at.Local().Format("2006-01-02 15:04:05"), shown(at))
	require.Equal(t, "0123", shortDigest("sha256:0123"))
	require.Equal(t, "", shortDigest("none"))
}

func TestWriteVersion(t *testing.T) {
	var b bytes.Buffer
	info := &debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}}}
	require.NoError(t, writeVersion(&b, info))
	require.Regexp(t, `^vespo v1\.2\.3 abc go\S+ \w+/\w+\n$`, b.String())
	b.Reset()
	require.NoError(t, writeVersion(&b, &debug.BuildInfo{}))
	require.Regexp(t, `^vespo \(devel\) go`, b.String())
}
