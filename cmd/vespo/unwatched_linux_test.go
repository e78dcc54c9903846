package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNoWatchesLeft checks that a server whose user has no inotify
// instance left starts, logs it and still notices changes.
func TestNoWatchesLeft(t *testing.T) {
	const none = "echo 0 >/proc/sys/user/max_inotify_instances && exec "
	if out, err := exec.Command("unshare", "-Ur", "sh", "-c", none+"true").CombinedOutput(); err != nil {
		t.Skipf("user namespaces are not to be had here: %v: %s", err, out)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "vespo.toml")
	declare := func(prefix string) {
		require.NoError(t, os.WriteFile(file, []byte("[[service]]\nprefix = \""+prefix+"\"\nstatic = \".\"\n"), 0o644))
	}
	declare("one")
	p, err := startProcess(exec.Command("unshare", "-Ur", "sh", "-c", none+`vespo serve --listen 127.0.0.1:0 --data "$0/data" --root "$0" --config-file "$0/vespo.toml"`, dir))
	require.NoError(t, err)
	t.Cleanup(p.kill)
	require.True(t, p.await(regexp.MustCompile(`(?m)^listening on http://`)), p.stderr)
	require.Contains(t, p.stderr.String(), `level=WARN msg="the system does not report changes of the configuration`)
	declare("two")
	require.True(t, p.await(regexp.MustCompile(`msg="configuration applied" .*deployed=1 removed=1`)), p.stderr)
}
