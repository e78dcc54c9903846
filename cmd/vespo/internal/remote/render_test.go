package remote

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWriteService(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)
	s := &Service{
		Version:     Version{Digest: "sha256:0123456789abcdef", Number: 2, Generation: 3, Message: "fix it", Author: "bob", Memory: 1 << 20, Isolation: "fresh", Size: 2048},
		Prefix:      "/a",
		Exports:     []string{"wasi:http/incoming-handler@0.2.12"},
		Imports:     []string{"wasi:http/types@0.2.12", "wasi:io/poll@0.2.12", "wasi:io/streams@0.2.12"},
		FreshReason: "it uses table.set",
		State:       "failed",
		Problem:     "the module\x1b is gone",
		History:     []Version{{Digest: "sha256:fedcba9876543210", Number: 1, Generation: 2, Timeout: "3s", Message: "add login", Author: "ada", Deployed: now.Add(-5 * time.Minute)}},
		Options: map[string]any{
			"allow":  []any{"https://a", "http://b.vespo.internal"},
			"config": []any{"key"},
			"memory": 1048576,
			"mount":  map[string]any{"/b": "c", "/a": "b"},
		},
		Retiring: &retiring{Versions: 1, Requests: 3, Snapshot: 1 << 20},
	}
	var b bytes.Buffer
	require.NoError(t, writeService(&screen{Writer: &b, now: now}, s))
	require.Equal(t, `prefix      /a
state       failed
problem     the module�`+` is gone
digest      sha256:0123456789abcdef
version     2
generation  3
deployed    -
author      bob
message     fix it
abi         -
exports     wasi:http/incoming-handler@0.2.12
imports     wasi:http/types@0.2.12
            wasi:io@0.2.12: poll, streams
memory      1.0 MiB
isolation   fresh
because     it uses table.set
size        2.0 KiB
snapshot    -
warm        0
allow       https://a
            http://b.vespo.internal
config      key
mount       /a=b
            /b=c
in flight   0
requests    0
errors      0
retiring    1 version, 3 requests, snapshots of 1.0 MiB
last used   -

other versions, the latest first:
VERSION  GENERATION  AGE  AUTHOR  TIMEOUT  DIGEST        MESSAGE
      1           2  5m   ada     3s       fedcba987654  add login
`, b.String())
}

// A server may send fields with any names.
func TestNamesOfOptionsDoNotControlATerminal(t *testing.T) {
	const evil = "\x1b]0;x\x07"
	s := &Service{Prefix: "/a", Options: map[string]any{evil: evil, "list": []any{evil}, "pairs": map[string]any{evil: evil}}}
	var b bytes.Buffer
	require.NoError(t, writeService(&screen{Writer: &b, columns: 80}, s))
	require.NotContains(t, b.String(), "\x1b")
	require.NotContains(t, b.String(), "\x07")
	require.Contains(t, b.String(), "\ufffd]0;x\ufffd")
}

func TestWriteDeployed(t *testing.T) {
	s := &Service{Version: Version{Digest: "sha256:00", Number: 3, Generation: 7, Isolation: "fresh", Size: 10}, Prefix: "/", ABI: "cgi", FreshReason: "why"}
	var b bytes.Buffer
	require.NoError(t, writeDeployed(&screen{Writer: &b}, "added", "http://h", s))
	require.Equal(t, "added /: version 3, cgi, 10 B, memory -, isolation fresh\n"+
		"each request gets a fresh instance: why\nsha256:00\nhttp://h/\n", b.String())
	b.Reset()
	s.Exports, s.Imports, s.FreshReason = []string{"wasi:http/incoming-handler@0.2.12"}, []string{"wasi:io/poll@0.2.12", "wasi:http/types@0.2.12"}, ""
	require.NoError(t, writeDeployed(&screen{Writer: &b}, "added", "http://h", s))
	require.Equal(t, "added /: version 3, cgi, 10 B, memory -, isolation fresh\n"+
		"a component: exports wasi:http/incoming-handler@0.2.12, imports 2 interfaces\nsha256:00\nhttp://h/\n", b.String())
	b.Reset()
	away := &Service{Version: Version{Digest: "sha256:00", Number: 1, Size: 10}, Prefix: "/", State: "elsewhere", Target: "10.0.0.2:7070"}
	require.NoError(t, writeDeployed(&screen{Writer: &b}, "added", "http://h", away))
	require.Equal(t, "added /: version 1, 10 B, served by 10.0.0.2:7070\nsha256:00\nhttp://h/\n", b.String())
	b.Reset()
	away.URL = "https://h:8443/"
	require.NoError(t, writeDeployed(&screen{Writer: &b}, "added", "http://h", away))
	require.Contains(t, b.String(), "\nhttps://h:8443/\n", "the admin listener serves no services")
}

func TestShown(t *testing.T) {
	at := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)
	require.Equal(t, "3m ago ("+at.Local().Format("2006-01-02 15:04:05")+")", (&screen{now: at.Add(3 * time.Minute)}).ago(at))
	require.Equal(t, "0123", shortDigest("sha256:0123"))
	require.Equal(t, "", shortDigest("none"))
}
