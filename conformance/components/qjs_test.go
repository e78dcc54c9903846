package components

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/conformance/internal/program"
)

// TestDynamicLibraries serves a component of jco's QuickJS backend: several core modules over one memory. Each request begins
// with the state at the deploy.
func TestDynamicLibraries(t *testing.T) {
	dir, jco := tools(t)
	wit := filepath.Join(dir, "wit")
	require.NoError(t, os.CopyFS(wit, os.DirFS(filepath.Join("testdata", "qjs"))))
	builtin := filepath.Join(dir, "node_modules", "@bytecodealliance", "jco", "lib", "wit", "builtin", "0.3.0")
	require.NoError(t, os.CopyFS(filepath.Join(wit, "deps"), os.DirFS(builtin)))
	component := filepath.Join(dir, "qjs.wasm")
	run(t, dir, jco, "componentize", filepath.Join(wit, "service.js"), "--wit", wit, "-n", "service", "--backend", "qjs", "-o", component)
	server := program.Serve(t, built)
	run(t, dir, built, "add", "qjs", component, "--server", server.URL)
	client := &http.Client{Timeout: program.HangTimeout}
	defer client.CloseIdleConnections()
	for range 3 {
		got := request{method: "GET", path: "/qjs/a?b"}.send(t, client, server.URL)
		require.Equal(t, http.StatusOK, got.Status)
		require.Equal(t, "request 1 of /qjs/a?b\n", got.Body)
	}
}
