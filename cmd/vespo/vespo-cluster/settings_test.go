package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdtest"
)

// check runs "vespo check" on a file with settings and one redirect.
func check(t *testing.T, path, settings string) (string, error) {
	t.Helper()
	file := fmt.Sprintf("[server]\n%s\n[[service]]\nprefix = \"/a\"\nredirect = \"https://example.com/a\"\n", settings)
	require.NoError(t, os.WriteFile(path, []byte(file), 0o600))
	self, err := os.Executable()
	require.NoError(t, err)
	out, err := (&exec.Cmd{Path: self, Args: []string{"vespo", "check", path}}).CombinedOutput()
	return string(out), err
}

// TestFilesOfHosts lets two hosts have files with other services. The second one says what it removes.
func TestFilesOfHosts(t *testing.T) {
	t.Parallel()
	store := etcdtest.Start(t)
	for n, prefix := range []string{"/a", "/b"} {
		path := filepath.Join(t.TempDir(), "vespo.toml")
		file := fmt.Sprintf("[[service]]\nprefix = %q\nredirect = \"https://example.com/\"\n", prefix)
		require.NoError(t, os.WriteFile(path, []byte(file), 0o600))
		h := newHost(t, store.URL("files"))
		i := slices.Index(h.args, "--no-config-file")
		h.args = slices.Replace(h.args, i, i+1, "--config-file", path)
		h.start()
		require.Equal(t, n == 1, strings.Contains(h.log.String(), "services were removed for all hosts of the store"), "%s", h.log)
	}
}

// placedService returns a service of a configuration file that chooses hosts.
func placedService(t *testing.T) string {
	module := filepath.Join(t.TempDir(), "hello.wasm")
	require.NoError(t, os.WriteFile(module, guest(t, "hello"), 0o600))
	return fmt.Sprintf("[[service]]\nprefix = \"/placed\"\nmodule = %q\non = [\"zone=a\"]\nreplicas = 2\n", module)
}

// TestSettingsInFile names the store and engines in the configuration file. To check the file, none has to be there.
func TestSettingsInFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "vespo.toml")
	for _, engine := range []string{"redis://127.0.0.1:1", "postgres://vespo@127.0.0.1:1/vespo"} {
		out, err := check(t, path, fmt.Sprintf("store = \"etcd://127.0.0.1:1/vespo\"\npeer-listen = \"127.0.0.1:0\"\nkv = %q\n"+
			"queues = \"postgres://vespo@127.0.0.1:1/vespo\"\nblobs = \"s3://bucket/vespo?endpoint=http://127.0.0.1:1\"", engine))
		require.NoError(t, err, out)
		require.Contains(t, out, "is right: 1 service")
	}
	out, err := check(t, path, placedService(t))
	require.NoError(t, err, "the store may be a flag: %s", out)
	require.Contains(t, out, "is right: 2 services")
	out, err = check(t, path, `follow = "http://127.0.0.1:1"`)
	require.Error(t, err)
	require.Contains(t, out, "declares services, and a server that follows http://127.0.0.1:1 has only those of that")

	store, engine := etcdtest.Start(t), enginetest.StartRedis(t)
	settings := fmt.Sprintf("store = %q\npeer-listen = \"127.0.0.1:0\"\nkv = %q", store.URL("vespo"), "redis://"+engine.Address)
	out, err = check(t, path, settings)
	require.NoError(t, err, out)
	h := newKVHost(t)
	i := slices.Index(h.args, "--no-config-file")
	h.args = slices.Replace(h.args, i, i+1, "--config-file", path)
	h.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h.start()
	require.Equal(t, "/a", h.seen("/a"))
	h.eventually(func() bool { return h.body("/services/hosts") != "" })
	require.Contains(t, h.body("/services/hosts"), `"address"`)
}
