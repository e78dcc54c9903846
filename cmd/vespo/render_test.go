package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
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
		Retiring:    &retiring{Versions: 1, Requests: 3, Snapshot: 1 << 20},
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
retiring    1 version, 3 requests, snapshots of 1.0 MiB
last used   -

earlier versions, the latest first:
GENERATION  DIGEST        KIND  SIZE  MEMORY  TIMEOUT  ISOLATION  DEPLOYED
2           fedcba987654  -     -     -       3s       -          -
`, b.String())
}

func TestListDuringTheStart(t *testing.T) {
	answer := `{"services":[{"prefix":"/a","state":"starting","kind":"wasm"}],"starting":{"done":12,"total":30}}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
	defer server.Close()
	list := func() string {
		var out bytes.Buffer
		require.Equal(t, exitOK, run(t.Context(), []string{"list", "--server", server.URL}, streams{out: &out, err: io.Discard}))
		return out.String()
	}
	require.Regexp(t, `^starting, 12 of 30\nPREFIX +STATE .*\n/a +starting `, list())
	answer = `{"services":[],"starting":{"done":0,"total":1}}`
	require.Equal(t, "starting, 0 of 1\n", list())
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
