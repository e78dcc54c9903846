package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/remote"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// TestCompilingIsBounded checks that a module which exceeds the compiler's
// limits is refused with the reason, and does not affect other services.
func TestCompilingIsBounded(t *testing.T) {
	data := t.TempDir()
	_, c := launch(t, data, "--compile-time=1s")
	_, err := post(t.Context(), c, "/long", guests.Long(t, "hello", 1500, 1000))
	var refused *remote.Refusal
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusUnprocessableEntity, refused.Status)
	require.ErrorContains(t, err, "takes longer than 1s of processor time")
	_, err = post(t.Context(), c, "/short", guests.Wat(t, "hello"))
	require.NoError(t, err)
	require.Len(t, codeFiles(t, data), 1)
}

// codeFiles returns the files of compiled code below a data directory.
func codeFiles(t *testing.T, data string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, "cache", "code", "*"))
	require.NoError(t, err)
	return files
}

// TestCompiledCodeGoesWithItsVersion checks that compiled code is deleted with the last version
// that needs it, and that a start deletes code of modules which are not in the catalogue.
func TestCompiledCodeGoesWithItsVersion(t *testing.T) {
	data := t.TempDir()
	p, c := launch(t, data)
	for prefix, name := range map[string]string{"/a": "hello", "/b": "hello", "/c": "echo"} {
		_, err := post(t.Context(), c, prefix, guests.Wat(t, name))
		require.NoError(t, err)
	}
	require.Len(t, codeFiles(t, data), 2)
	remove := func(prefix string) {
		_, err := c.Post(t.Context(), "/services/remove", map[string][]string{"prefix": {prefix}})
		require.NoError(t, err)
	}
	remove("/a")
	remove("/c")
	require.Eventually(t, func() bool { return len(codeFiles(t, data)) == 1 }, hangTimeout, time.Millisecond)
	p.kill()
	left := codeFiles(t, data)
	require.NoError(t, os.WriteFile(left[0][:len(left[0])-1], nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(left[0]), fmt.Sprintf("%032x-%032x-x", 1, 2)), nil, 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(data, "cache", "wazero-v0"), 0o700))
	launch(t, data)
	require.Equal(t, left, codeFiles(t, data))
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(data, "cache", "wazero-v0"))
		return errors.Is(err, os.ErrNotExist)
	}, hangTimeout, time.Millisecond)
}

var compiling = regexp.MustCompile(`(?m)msg="compiling a module".* pid=([0-9]+)`)

// TestCompilingEndsWithTheServer checks that a server that
// is killed during a compilation leaves no process behind.
func TestCompilingEndsWithTheServer(t *testing.T) {
	p, c := launch(t, t.TempDir(), "--log-level=debug")
	ended := make(chan error)
	go func() {
		_, err := post(t.Context(), c, "/long", guests.Long(t, "hello", 1500, 1000))
		ended <- err
	}()
	require.True(t, p.await(compiling))
	p.kill()
	require.Error(t, <-ended)
	pid := compiling.FindStringSubmatch(p.stderr.String())[1]
	require.Eventually(t, func() bool { return !runs(pid) }, hangTimeout, time.Millisecond)
	require.NotContains(t, p.stderr.String(), "compiled a module", "it was not done before")
}

// runs reports whether a process runs. A zombie, which its parent has not waited for yet, does not.
func runs(pid string) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	return err == nil && !bytes.Contains(stat, []byte(") Z "))
}
