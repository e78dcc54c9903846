package abi_test

import (
	"embed"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/cgi"
	"github.com/vespo-dev/vespo/runtime/abi/command"
	"github.com/vespo-dev/vespo/runtime/abi/httpwasm"
	"github.com/vespo-dev/vespo/runtime/abi/wasihttp"
	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/testdata/guests"
)

//go:generate sh -c "cd testdata && for f in *.wat; do wat2wasm $DOLLAR{f} || exit 1; done"

//go:embed testdata/*.wasm
var testdata embed.FS

// all are the ABIs of a server.
func all() []abi.ABI {
	return []abi.ABI{httpwasm.New(httpwasm.Config{}), wasihttp.ABI{}, cgi.ABI{}, command.ABI{}}
}

func TestDetect(t *testing.T) {
	module := func(name string) []byte {
		b, err := testdata.ReadFile("testdata/" + name + ".wasm")
		require.NoError(t, err)
		return b
	}
	for _, c := range []struct {
		name   string
		module []byte
		want   string   // name of the ABI
		init   []string // init functions
		err    string   // expected error
	}{
		{"handler", guests.Wat(t, "hello"), "http-wasm", nil, ""},
		{"handler of a toolchain", guests.Go(t, "gohello"), "http-wasm", []string{"_initialize"}, ""},
		{"handler of an older toolchain", module("both"), "http-wasm", []string{"_start"}, ""},
		{"command", guests.Wat(t, "cat"), "cgi", nil, ""},
		{"command of a toolchain", guests.Go(t, "gocmd"), "cgi", nil, ""},
		{"neither", module("neither"), "", nil, "exports neither handle_request (an http-wasm handler) nor wasi:http/incoming-handler (a component of WASI 0.2) nor _start (a CGI command): " +
			"build a Go guest with GOOS=wasip1 GOARCH=wasm and -buildmode=c-shared, or with the bindings of go.bytecodealliance.org/wasi as a component, " +
			"or as a plain command that speaks CGI on its standard streams"},
		{"no handler", module("noexport"), "", nil, "does not export the function handle_request"},
		{"wrong handle_request", module("wrongrequest"), "", nil, "http-wasm has it as () -> (i64)"},
		{"wrong handle_response", module("wrongresponse"), "", nil, "http-wasm has it as (i32, i32) -> ()"},
		{"wrong _start", module("wrongstart"), "", nil, "a command has it as () -> ()"},
		{"mute", module("mute"), "", nil, "could not answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			module, err := engine.Decode(c.module)
			require.NoError(t, err)
			info := module.Info()
			found, err := abi.Detect(info, abi.Servers(all()))
			if c.err != "" {
				var invalid *engine.ModuleError
				require.ErrorAs(t, err, &invalid)
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, found.Traits().Name)
			init, entries := found.Functions(info)
			require.Equal(t, c.init, init)
			require.NotEmpty(t, entries)
		})
	}
}

func TestAbilities(t *testing.T) {
	var serve, run, forward []string
	for _, a := range abi.Servers(all()) {
		serve = append(serve, a.Traits().Name)
	}
	for _, a := range abi.Runners(all()) {
		run = append(run, a.Traits().Name)
	}
	for _, a := range all() {
		if a.Traits().Forwards {
			forward = append(forward, a.Traits().Name)
		}
	}
	require.Equal(t, []string{"http-wasm", "wasi-http", "cgi"}, serve)
	require.Equal(t, []string{"command"}, run)
	require.Equal(t, []string{"http-wasm"}, forward)
}

func TestHostModulesAreShared(t *testing.T) {
	modules, err := abi.HostModules(all())
	require.NoError(t, err)
	var names []string
	for _, m := range modules {
		names = append(names, m.Name)
	}
	own := slices.DeleteFunc(names, func(name string) bool { return strings.Contains(name, "/") }) // interfaces of components
	require.Equal(t, []string{"http_handler", "wasi_snapshot_preview1", "vespo"}, own)
	_, err = abi.HostModules(append(all(), impostor{}))
	require.ErrorContains(t, err, `impostor has a host module "vespo" that differs`)
}

// impostor has a host module with the name of another one.
type impostor struct{ abi.ABI }

func (impostor) Traits() abi.Traits {
	return abi.Traits{Name: "impostor"}
}

func (impostor) HostModules() []engine.HostModule { return []engine.HostModule{{Name: "vespo"}} }

// TestWatIsBuilt checks that each .wasm file matches its .wat source.
func TestWatIsBuilt(t *testing.T) {
	tool, err := exec.LookPath("wat2wasm")
	if err != nil {
		t.Skip("wat2wasm is not installed (package wabt)")
	}
	sources, err := filepath.Glob("testdata/*.wat")
	require.NoError(t, err)
	for _, source := range append(sources, "abitest/puppet.wat") {
		out := filepath.Join(t.TempDir(), "out.wasm")
		msg, err := exec.Command(tool, source, "-o", out).CombinedOutput()
		require.NoError(t, err, "%s", msg)
		want, err := os.ReadFile(out)
		require.NoError(t, err)
		got, err := os.ReadFile(strings.TrimSuffix(source, ".wat") + ".wasm")
		require.NoError(t, err)
		require.Equal(t, want, got, "%s: run go generate", source)
	}
}
