package compiler

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/testdata/guests"
)

// The child does not inherit the environment of the server, which may contain secrets. An
// exit code that the child does not use is not the module's fault.
func TestChildInheritsNothing(t *testing.T) {
	t.Setenv("VESPO_ADMIN_TOKEN", "secret")
	script, seen := filepath.Join(t.TempDir(), "script"), filepath.Join(t.TempDir(), "seen")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\n/usr/bin/env >"+seen+"\nexit 99\n"), 0o700))
	_, err := New(Config{Command: []string{script, "x"}}).Compile(t.Context(), t.TempDir(), guests.Wat(t, "echo"), nil)
	require.ErrorContains(t, err, "exit status 99")
	var refused *Refusal
	require.NotErrorAs(t, err, &refused)
	text, err := os.ReadFile(seen)
	require.NoError(t, err)
	require.NotContains(t, string(text), "VESPO")
	require.NotContains(t, string(text), "PATH")
}

// A server that runs at a low priority can compile: a child never asks for a higher priority, which only the superuser gets.
func TestPriorityOnlyFalls(t *testing.T) {
	for nice := -20; nice <= maxNice; nice++ {
		require.GreaterOrEqual(t, lowered(20-nice), nice)
		require.LessOrEqual(t, lowered(20-nice), maxNice)
	}
	require.Equal(t, niceness, lowered(20))
	nice, err := exec.LookPath("nice")
	if err != nil {
		t.Skip("there is no nice")
	}
	cfg := Config{Command: []string{nice, "nice", "-n", "17", children(t).Command[0], "serve"}}
	_, err = New(cfg).Compile(t.Context(), t.TempDir(), guests.Wat(t, "echo"), nil)
	require.NoError(t, err)
}

// Errors of the disk are not the module's fault.
func TestFullDisk(t *testing.T) {
	for name, cfg := range map[string]Config{"here": {}, "child": children(t)} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			mountFull(t, dir)
			_, err := New(cfg).Compile(t.Context(), dir, guests.Wat(t, "echo"), nil)
			require.ErrorIs(t, err, ErrNoSpace)
			var refused *Refusal
			require.NotErrorAs(t, err, &refused)
			_, err = New(cfg).Compile(t.Context(), filepath.Join(dir, "missing"), guests.Wat(t, "echo"), nil)
			require.Error(t, err)
			require.NotErrorAs(t, err, &refused)
		})
	}
}

// mountFull mounts a full file system. It skips the test without the privilege.
func mountFull(t *testing.T, dir string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("needs the privilege to mount a small file system: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	require.ErrorIs(t, os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 1<<20), 0o600), syscall.ENOSPC)
}
