package compiler

import (
	"os"
	"path/filepath"
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
	_, err := New(Config{Command: []string{script, "x"}}).Compile(t.Context(), t.TempDir(), guests.Wat(t, "echo"))
	require.ErrorContains(t, err, "exit status 99")
	var refused *Refusal
	require.NotErrorAs(t, err, &refused)
	text, err := os.ReadFile(seen)
	require.NoError(t, err)
	require.NotContains(t, string(text), "VESPO")
	require.NotContains(t, string(text), "PATH")
}
