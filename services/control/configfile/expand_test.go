package configfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/servicetest/allkinds"
)

// variables are the variables of the tests.
func variables(name string) (string, bool) {
	value, ok := map[string]string{
		"TOKEN": "s3cr3t",
		"HOST":  "127.0.0.1:9000",
		"EMPTY": "",
		"SLOTS": "3",
		"TOML":  "\"\n[[service]]\nprefix = \"b\"",
		"TWICE": "${TOKEN}",
		"FILE":  "file:token",
		"BYTES": "\xff",
	}[name]
	return value, ok
}

// readWith reads a file with the variables, beside a file "token". The settings "admin-token" and "lambda-key" are secrets.
func readWith(t *testing.T, text string) (*File, []string) {
	t.Helper()
	dir := written(t, map[string]string{"vespo.toml": text, "a.wasm": "module", "token": "of a file\r\n", "lines": "a\n\n", "binary": "\xff"})
	f, err := Source{
		Path:    filepath.Join(dir, "vespo.toml"),
		Lookup:  variables,
		Secrets: []string{"admin-token", "lambda-key"},
	}.Read(allkinds.Describe(), maxModule)
	if err == nil {
		return f, nil
	}
	var violations Violations
	require.ErrorAs(t, err, &violations)
	var texts []string
	for _, v := range violations {
		texts = append(texts, strings.TrimPrefix(strings.ReplaceAll(v.String(), dir+string(filepath.Separator), ""), "vespo.toml:"))
	}
	return f, texts
}

// setting returns the value of a setting that is written as given, in single quotes.
func setting(t *testing.T, value string) string {
	t.Helper()
	f, violations := readWith(t, "[server]\nadmin-token = '"+value+"'\n")
	require.Empty(t, violations)
	return f.Settings[0].Value
}

func TestValues(t *testing.T) {
	for value, want := range map[string]string{
		"plain":                   "plain",
		"${TOKEN}":                "s3cr3t",
		"a${TOKEN}b${SLOTS}c":     "as3cr3tb3c",
		"${EMPTY}":                "",
		"${EMPTY:-x}":             "x",
		"${UNSET:-}":              "",
		"${UNSET:-a b:-$}":        "a b:-$",
		"$TOKEN $ {TOKEN} $":      "$TOKEN $ {TOKEN} $",
		"$${TOKEN}":               "${TOKEN}",
		"$$${TOKEN}":              "$${TOKEN}",
		"$${ $${TOKEN} ${SLOTS}}": "${ ${TOKEN} 3}",
		"${TWICE}":                "${TOKEN}",
		"${FILE}":                 "file:token",
		"file:token":              "of a file",
		"file:lines":              "a\n",
		"file:${UNSET:-token}":    "of a file",
		"$file:token":             "file:token",
		"$$file:token":            "$file:token",
		"a file:token":            "a file:token",
	} {
		require.Equal(t, want, setting(t, value), value)
	}
}

func TestValuesThatAreRefused(t *testing.T) {
	_, violations := readWith(t, `[server]
admin-token = "${UNSET}"
listen = "file:token"
slots = "${TOKEN:+x}"
lambda-key = ["a", "file:none"]

[[service]]
prefix = "${1}"
module = "a.wasm"
allow = ["http://${HOST}", "ö${"]
[service.config]
a = "${BYTES}"
b = "${UNSET:-${TOKEN}}"
c = "file:binary"
d = "s3cr3t${"

[[service]]
prefix = "b"
upstream = ["file:token"]
`)
	const syntax = ", where neither ${NAME} nor ${NAME:-default} begins: write \"$${\" for the text"
	require.Equal(t, []string{
		"2: admin-token needs the environment variable UNSET, which is not set: set it, or write ${UNSET:-default}",
		"5: lambda-key is in the file none: no such file or directory",
		`3: listen begins with "file:", but is shown to who may manage the server: only secrets can be in files. Write "$file:" for a text that begins so`,
		`4: slots has "${" at character 1` + syntax,
		`10: allow has "${" at character 2` + syntax,
		"12: config.a needs the environment variable BYTES, which is not UTF-8 text",
		`13: config.b has "${" at character 1` + syntax,
		"14: config.c is in the file binary, which is not UTF-8 text",
		`15: config.d has "${" at character 7` + syntax,
		`8: prefix has "${" at character 1` + syntax,
		`19: upstream begins with "file:", but is shown to who may manage the server: only secrets can be in files. Write "$file:" for a text that begins so`,
	}, violations)
}

// Values are replaced after the text was parsed, so they cannot change its structure.
func TestValuesOfServices(t *testing.T) {
	f, violations := readWith(t, `[[service]]
prefix = "a"
module = "${UNSET:-a.wasm}"
memory = "${UNSET:-4MiB}"
config = { note = "${TOML}", token = "file:token", literal = "$${x}" }

[[service]]
prefix = "b"
upstream = ["http://${HOST}"]
request_header = ["Authorization: Bearer ${TOKEN}"]

[[service]]
prefix = "c"
module = "a.wasm"
config = "file:binary"
use = ["a.wasm"]
use_config = "file:token"
`)
	require.Empty(t, violations)
	specs := f.Specs()
	require.Len(t, specs, 3)
	require.Equal(t, registry.Manifest(`{"config":{"=base64":"/w=="},"use_config":"of a file"}`), specs[2].Manifest, "for get_config, any bytes")
	require.Equal(t, "module", contentOf(t, specs[0].Blobs[0]))
	require.JSONEq(t, `{"memory":4194304,"config":{"literal":"${x}","note":"\"\n[[service]]\nprefix = \"b\"","token":"of a file"}}`, string(specs[0].Manifest))
	require.Contains(t, string(specs[1].Manifest), "http://127.0.0.1:9000")
	require.Contains(t, string(specs[1].Manifest), "Bearer s3cr3t")
	token := f.Relative("token")
	require.Contains(t, f.Inputs(), token, "a change of the file is a change of the configuration")
}

func TestCheckOfTheOpenFile(t *testing.T) {
	dir := written(t, map[string]string{"vespo.toml": "[server]\n"})
	source := Source{Path: filepath.Join(dir, "vespo.toml"), Check: func(info os.FileInfo) error { return os.ErrPermission }}
	_, err := source.ReadSettings()
	require.ErrorContains(t, err, "vespo.toml: permission denied")
}

func FuzzEscape(f *testing.F) {
	for _, seed := range []string{"", "$", "${", "$${", "${A}", "file:", "$file:", "$$file:${", "a$file:", "${$${$"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, secret := range []bool{true, false} {
			v := values{file: &File{source: Source{Lookup: func(string) (string, bool) { return "", false }}}}
			got, err := v.text(Escape(text), secret)
			require.NoError(t, err)
			require.Equal(t, text, got)
		}
	})
}
