package configfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/kinds/proxy"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/schema"
	"github.com/vespo-dev/vespo/services/servicetest/allkinds"
)

const maxModule = 1 << 20

// written creates a directory with the given files, by name and text, and returns its path.
func written(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return dir
}

// refused reads text and returns its violations without the path.
func refused(t *testing.T, text string) []string {
	t.Helper()
	path := filepath.Join(written(t, map[string]string{"vespo.toml": text, "a.wasm": "module"}), "vespo.toml")
	_, err := Source{Path: path}.Read(allkinds.Describe(), maxModule)
	var violations Violations
	require.ErrorAs(t, err, &violations)
	var texts []string
	for _, v := range violations {
		require.Equal(t, path, v.File)
		texts = append(texts, strings.TrimPrefix(strings.ReplaceAll(v.String(), filepath.Dir(path)+"/", ""), "vespo.toml"))
	}
	return texts
}

func TestRead(t *testing.T) {
	dir := written(t, map[string]string{"modules/a.wasm": "module a", "vespo.toml": `
[server]
listen = ":80"
slots = 3
demo = false
lambda-key = ["a", "b"]

[[service]]
prefix = "a/"
match = "host: IAM"
module = "modules/a.wasm"
memory = 65536
timeout = "1s"
isolation = "fresh"
allow = ["https://api.example.com"]
config.greeting = "salve"
[service.mount]
"/content" = "content"

[[service]]
prefix = "/p"
upstream = ["http://127.0.0.1:9000"]
keep_prefix = true

[[service]]
prefix = "f"
module = "modules/a.wasm"
function = true

[[service]]
prefix = "beside"
exec = "./bin/worker"

[[service]]
prefix = "elsewhere"
exec = "/usr/bin/worker"

[[service]]
prefix = "named"
exec = "worker"

[[service]]
prefix = "text"
module = "modules/a.wasm"
config = '''{"directives": ["SecRuleEngine On"]}
'''
`})
	path := filepath.Join(dir, "vespo.toml")
	f, err := Source{Path: path}.Read(allkinds.Describe(), maxModule)
	require.NoError(t, err)
	require.Equal(t, []Setting{{"listen", ":80", 3}, {"slots", "3", 4}, {"demo", "false", 5}, {"lambda-key", "a,b", 6}}, f.Settings)
	specs := f.Specs()
	require.Len(t, specs, 7)
	for i, program := range []string{filepath.Join(dir, "bin/worker"), "/usr/bin/worker", "worker"} { // the last is refused later
		require.Contains(t, string(specs[3+i].Manifest), `"exec":"`+program+`"`)
	}
	require.Equal(t, routekey.MustParse("/a Host: iam"), specs[0].Key)
	require.Equal(t, "wasm", specs[0].Kind)
	require.Equal(t, "module a", contentOf(t, specs[0].Blobs[0]))
	require.True(t, specs[0].Trusted())
	require.Equal(t, wasm.Document{
		Memory:    65536,
		Timeout:   schema.Period(time.Second),
		Isolation: "fresh",
		Allow:     []string{"https://api.example.com"},
		Config:    schema.Settings{ByName: map[string]string{"greeting": "salve"}},
		Mount:     map[string]string{"/content": "content"},
	}.Encode(), specs[0].Manifest)
	require.Equal(t, proxy.KindName, specs[1].Kind)
	require.Equal(t, proxy.Document{Upstreams: []string{"http://127.0.0.1:9000"}, KeepPrefix: true}.Encode(), specs[1].Manifest)
	require.Equal(t, wasm.FunctionKindName, specs[2].Kind)
	require.Nil(t, specs[0].Blobs[0].Content, "modules are not kept in memory")
	module := filepath.Join(dir, "modules/a.wasm")
	require.Equal(t, []string{path, module, module, module}, f.Inputs())
	require.Equal(t, wasm.Document{Config: schema.Settings{Text: "{\"directives\": [\"SecRuleEngine On\"]}\n"}}.Encode(), specs[6].Manifest)

	settings, err := Source{Path: path}.ReadSettings()
	require.NoError(t, err)
	require.Equal(t, f.Settings, settings.Settings)
	require.Equal(t, 4, settings.At("slots", "x").Line)
	require.Zero(t, settings.At("memory", "x").Line)
}

// TestFilesOfWindows checks that a byte order mark and CR LF are not part of the content.
func TestFilesOfWindows(t *testing.T) {
	text := "\ufeff[server]\r\nslots = 3\r\n\r\n[[service]]\r\nprefix = \"a\"\r\nmodule = \"a.wasm\"\r\n"
	path := filepath.Join(written(t, map[string]string{"vespo.toml": text, "a.wasm": "module"}), "vespo.toml")
	_, err := Source{Path: path}.Read(allkinds.Describe(), maxModule)
	require.NoError(t, err)
}

func TestEverythingWrongIsToldWithItsLine(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"nothing":            {" \n\t\n", []string{": the file is empty; write a comment into it if nothing is to be served"}},
		"no TOML":            {"# x\n[server\nslots = 1", []string{":2: not TOML at column 8: "}},
		"a key twice":        {"[server]\nslots = 1\nslots = 2", []string{":3: not TOML at column "}},
		"unknown tables":     {"[servers]\n[x]\ny = 1", []string{`:1: unknown key "servers"`, `:2: unknown key "x"`}},
		"server of no kind":  {"server = 1", []string{":1: server is not a table"}},
		"service, singular":  {"\n[service]\nprefix = \"a\"", []string{":2: service is not a list of tables"}},
		"service of no kind": {"service = [1]", []string{":1: service is not a list of tables"}},
		"settings":           {"[server]\nslots = 1.5\nlisten = []\n[server.tls]\n", []string{":3: listen must be a string", ":2: slots must be", ":4: tls must be"}},
		"fields": {"[[service]]\nnone = 1\ntimeout = 3\n\n[[service]]\nprefix = \"b\"\nmodule = \"a.wasm\"\nmemory = \"x\"\nallow = \"y\"\n",
			[]string{":2: none is unknown", ":3: timeout must be a string", ":1: prefix is missing", ":1: module is missing",
				":9: allow must be an array", ":8: memory is "}},
		"bound twice":    {"[[service]]\nprefix = \"b\"\nmodule = \"a.wasm\"\nstatic = \"x\"", []string{":4: static cannot be combined with module: a prefix is bound to one thing"}},
		"empty module":   {"[[service]]\nprefix = \"b\"\nmodule = \"\"", []string{":3: module is empty"}},
		"module":         {"[[service]]\nprefix = \"b\"\nmodule = \"none.wasm\"", []string{":3: module none.wasm: no such file"}},
		"directory":      {"[[service]]\nprefix = \"b\"\nmodule = \".\"", []string{":3: module "}},
		"inline":         {"service = [\n{prefix = \"services\", module = \"a.wasm\"},\n]", []string{":1: prefix is"}},
		"not a number":   {"[[service]]\nprefix = nan", []string{":1: a value has no meaning here"}},
		"a date":         {"[[service]]\nprefix = 1979-05-27\nmodule = \"a.wasm\"\ndepth = 07:32:00", []string{":4: depth is "}},
		"dotted":         {"[[service]]\nprefix = \"b\"\nmodule = \"a.wasm\"\nconfig.a = 1", []string{":4: config must be an object"}},
		"dotted setting": {"server.x = []", []string{":1: x must be"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := refused(t, c.text)
			require.Len(t, got, len(c.want), "%q", got)
			for i := range got {
				require.Contains(t, got[i], c.want[i])
			}
		})
	}
}

// Settings may be secrets: violations must not repeat their values.
func TestSettingsAreNotRepeated(t *testing.T) {
	for _, text := range refused(t, "[server]\nadmin-token = [\"hidden\", 1]") {
		require.NotContains(t, text, "hidden")
	}
}

func TestModulesAreBounded(t *testing.T) {
	dir := written(t, map[string]string{"a.wasm": "12345", "vespo.toml": "[[service]]\nprefix = \"a\"\nmodule = \"a.wasm\""})
	_, err := Source{Path: filepath.Join(dir, "vespo.toml")}.Read(allkinds.Describe(), 5)
	require.NoError(t, err)
	_, err = Source{Path: filepath.Join(dir, "vespo.toml")}.Read(allkinds.Describe(), 4)
	require.ErrorContains(t, err, "vespo.toml:3: module "+dir+"/a.wasm: has 5 bytes, at most 4 are taken")
	_, err = Source{Path: dir}.Read(allkinds.Describe(), 4)
	require.ErrorContains(t, err, "is not a file")
	_, err = Source{Path: filepath.Join(dir, "none.toml")}.Read(allkinds.Describe(), 4)
	require.ErrorContains(t, err, "none.toml: no such file")
	_, err = Source{Path: filepath.Join(dir, "none.toml")}.ReadSettings()
	require.ErrorContains(t, err, "none.toml: no such file")
}

// Failures of a deploy are reported at the line of the field that they concern.
func TestLocate(t *testing.T) {
	dir := written(t, map[string]string{"a.wasm": "1", "vespo.toml": "[[service]]\nprefix = \"a\"\nmodule = \"a.wasm\"\nmemory = \"1GiB\"\n" +
		"[[service]]\nprefix = \"b\"\nupstream = [\"http://x\"]\n"})
	f, err := Source{Path: filepath.Join(dir, "vespo.toml")}.Read(allkinds.Describe(), maxModule)
	require.NoError(t, err)
	whole := errors.New("disk full")
	require.Equal(t, whole, f.Locate(whole))
	require.NoError(t, f.Locate(nil))
	refused := func(kind problem.Kind, violations ...problem.Violation) error {
		p := problem.New(kind, "detail").WithCause(errors.New("cause"))
		p.Violations = violations
		return p
	}
	err = f.Locate(&deploy.ApplyError{Failures: []deploy.Failure{
		{Index: 0, Err: refused(problem.ModuleInvalid, problem.Violate("memory", "is too much"), problem.Violate("module", "exports nothing"), problem.Violation{Text: "no export"})},
		{Index: 1, Err: refused(problem.BadRequest, problem.Violate("upstream", `is "http://x": no`))},
		{Index: 1, Err: refused(problem.BadRequest)},
		{Index: 1, Err: refused(problem.Internal)},
		{Index: 1, Err: errors.New("plain")},
	}})
	var violations Violations
	require.ErrorAs(t, err, &violations)
	var texts []string
	for _, v := range violations {
		texts = append(texts, fmt.Sprintf("%d: %s", v.Line, strings.ReplaceAll(v.Text, dir+"/", "")))
	}
	require.Equal(t, []string{
		"4: memory is too much", "3: module a.wasm exports nothing", "3: module a.wasm: no export", `7: upstream is "http://x": no`, "5: service /b: detail",
		"5: service /b: Internal server error: detail: cause", "5: service /b: plain",
	}, texts)
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{"", "[server]\nslots=1", "[[service]]\nprefix='a'\nmodule='a.wasm'\n[service.config]\na='b'", "service=[{}]",
		"a.b.c=1\n[[a.b]]", "[[service]]\n[[service.x]]\n[service.y.z]", "\"\"=1", "[server]\nx=1979-05-27T07:32:00Z", "[[service]]\n\"\" = 1", "\xff"} {
		f.Add(seed)
	}
	dir := written(f, map[string]string{"a.wasm": "module"})
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(dir, "vespo.toml")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		file, err := Source{Path: path}.Read(allkinds.Describe(), maxModule)
		require.NotNil(t, file)
		if err == nil {
			for _, spec := range file.Specs() {
				require.NotEmpty(t, spec.Key)
				require.NotEmpty(t, spec.Manifest)
			}
			return
		}
		var violations Violations
		require.ErrorAs(t, err, &violations)
		require.NotEmpty(t, violations)
		for _, v := range violations {
			require.LessOrEqual(t, v.Line, strings.Count(text, "\n")+1)
			require.NotEmpty(t, v.Text)
		}
	})
}
