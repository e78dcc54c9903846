package main

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain makes the test binary usable as a peer, like the benchmark's.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "peer" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestTables runs all measurements as briefly as possible. It checks that the tables exist,
// not their contents.
func TestTables(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and deploys Go guests")
	}
	var out strings.Builder
	err := run(t.Context(), []string{"-tables", "throughput,http2,price,isolation,metering,memory,neighbour,start,density,deploy", "-services", "10", "-round", "20ms", "-rounds", "1", "-connections", "2", "-requests", "10001", "-repeats", "1"}, &out)
	require.NoError(t, err)
	for _, part := range []string{
		"## Requests: hello, written by hand", "## Requests: hello, standard Go with the SDK", "## Requests: standard Go with net/http and a mux",
		rowVespo, rowAccessLog, rowNative, rowFresh, rowShared, rowHostGo,
		"## HTTP/2 without TLS: hello, written by hand", "## HTTP/2 without TLS: hello, standard Go with the SDK", "as a multiple of net/http's",
		"## The price of counting", rowUncounted, rowCounted, "processor time as a multiple",
		"## Fresh state for a request", "## Stop checks", "geometric mean", "## Resident memory", "then, 256 connections",
		"## Noisy neighbour", "native, back to back", "## Starts", "## Density", "## From a saved change to its answer", "a deploy by the management API beside them", "## Goals", "hello, requests/s as a part of (a)",
	} {
		require.Contains(t, out.String(), part)
	}
	require.True(t, strings.Contains(out.String(), "units in C") || strings.Contains(out.String(), "Absent: a guest in C"))
	t.Log(out.String())
}

// TestComponents measures the component in C. Without its tools the report has the reason.
func TestComponents(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a component, and starts jco")
	}
	var out strings.Builder
	require.NoError(t, run(t.Context(), []string{"-tables", "components", "-components", "c", "-round", "20ms", "-rounds", "1", "-connections", "2"}, &out))
	t.Log(out.String())
	if strings.Contains(out.String(), "## Components that are absent") {
		t.Skip("NOT TRIED: the component cannot be built here")
	}
	for _, part := range []string{"## Components: engine time", "## Components: C", rowVespo, rowJco, rowJcoFresh, "## Goals"} {
		require.Contains(t, out.String(), part)
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"-tables", "other"}, {"-components", "other"}, {"-rounds", "0"}, {"-round", "-1s"}, {"-requests", "10"}, {"more"}} {
		require.Error(t, run(t.Context(), args, io.Discard), args)
	}
	c, err := parse(nil)
	require.NoError(t, err)
	require.Len(t, c.tables, len(tables))
}

func TestProc(t *testing.T) {
	before, err := cpuTime(os.Getpid())
	require.NoError(t, err)
	for start := time.Now(); time.Since(start) < 20*time.Millisecond; {
	}
	after, err := cpuTime(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, after, before)
	require.Less(t, after-before, time.Minute)
	r, err := residentOf(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, r.total, 1e6)
	require.InEpsilon(t, r.total, r.anon+r.file+r.shmem, 0.01)
	require.Less(t, r.slots, r.total)
	_, err = residentOf(1 << 30)
	require.Error(t, err)
}

func TestSlotBytes(t *testing.T) {
	const smaps = `7f1d91000000-7f1d92000000 rw-p 00000000 00:00 0
Size:              16384 kB
Rss:                   8 kB
VmFlags: rd wr mr mw me nr nh sd
7f1d92000000-7f1d92301000 rw-p 00000000 00:01 1029    /memfd:vespo-image (deleted)
Rss:                 328 kB
VmFlags: rd wr mr mw me sd
7f1df08f5000-7f1df0ae7000 rw-p 00000000 00:00 0
Rss:                1944 kB
VmFlags: rd wr mr mw me ac sd
`
	require.Equal(t, 336.0*1024, slotBytes([]byte(smaps)))
}
