package worker

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestScripts runs the tests of the glue and of the program that makes components.
func TestScripts(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("NOT TRIED: node is missing")
	}
	for _, name := range []string{"glue.test.mjs", "binary.test.mjs"} {
		t.Run(name, func(t *testing.T) {
			out, err := exec.CommandContext(t.Context(), "node", "--test", "--test-reporter=spec", filepath.Join("testdata", name)).CombinedOutput()
			require.NoError(t, err, "%s", out)
		})
	}
}

func TestSettings(t *testing.T) {
	for text, want := range map[string]string{
		`{}`: "",
		`{"main": "src/a.ts", "vars": {"A": {"b": [1]}}, "services": {"B": "x/y"}, "assets": {"directory": "public", "binding": "C"}}`: "",
		`{"main": "../a.ts"}`:                        `worker.main is "../a.ts": it must be a file below`,
		`{"main": "/a.ts"}`:                          `worker.main is "/a.ts"`,
		`{"services": {"B": "/"}}`:                   `worker.services.B is "/": it must be the prefix`,
		`{"services": {"": "a"}}`:                    `worker.services has an empty name`,
		`{"vars": {"A": 1}, "services": {"A": "a"}}`: `worker.vars and worker.services both have "A"`,
		`{"services": {"A": "a"}, "assets": {"directory": "d", "binding":"A"}}`: `worker.services and worker.assets both have "A"`,
		`{"assets": {"directory": "../d"}}`:                                     `worker.assets.directory is "../d"`,
		`{"kv": {"A": "Upper"}}`:                                                `worker.kv.A: the store name "Upper"`,
		`{"kv": {"A": "a"}, "vars": {"A": 1}}`:                                  `worker.vars and worker.kv both have "A"`,
		`{"assets": {}}`:                                                        `worker.assets.directory is ""`,
		`{"assets": {"directory": "d", "not_found_handling": "x"}}`:             `must be one of none, 404-page, single-page-application`,
	} {
		var s Settings
		require.NoError(t, json.Unmarshal([]byte(text), &s))
		if err := s.Check(); want == "" {
			require.NoError(t, err, text)
		} else {
			require.ErrorContains(t, err, want, text)
		}
	}
}

func TestOrigins(t *testing.T) {
	s := Settings{Services: map[string]string{"A": "/a/b", "B": "c", "C": "c"}}
	require.Equal(t, []string{"http://b.a.vespo.internal", "http://c.vespo.internal"}, s.Origins())
	require.Equal(t, []string{"x", "y"}, (&Settings{KV: map[string]string{"A": "y", "B": "x", "C": "y"}}).Stores())
}

// write writes files below a directory.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(content), 0o644))
	}
}

func TestEntry(t *testing.T) {
	dir := t.TempDir()
	_, _, err := (&Settings{}).Entry(dir, "/glue")
	require.ErrorContains(t, err, "there is no script: ")
	_, _, err = (&Settings{Main: "none.js"}).Entry(dir, "/glue")
	require.ErrorContains(t, err, "worker.main: ")

	write(t, dir, map[string]string{"index.js": "", "src/index.js": "", "public/a.txt": "a"})
	entry, _, err := (&Settings{Vars: map[string]json.RawMessage{"A": json.RawMessage(`[1]`)}}).Entry(dir, "/glue")
	require.NoError(t, err)
	require.Contains(t, string(entry), `import "/glue/start.js";`+"\n"+`import { serve } from "/glue/serve.js";`+"\n"+
		`import * as worker from "`+filepath.ToSlash(dir)+`/src/index.js";`+"\n")
	require.Contains(t, string(entry), `"vars":{"A":[1]}`)
	entry, _, err = (&Settings{Main: "index.js", Assets: &AssetSettings{Directory: "public"}}).Entry(dir, "/glue")
	require.NoError(t, err)
	require.Contains(t, string(entry), `/index.js";`)
	require.Contains(t, string(entry), `"/a.txt":{"type":"text/plain; charset=utf-8"`)
}

func TestAssets(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"index.html": "<p>", "a/b.PNG": "\x89PNG\xff", ".env": "secret", ".git/x": "y", "a/.hidden": "z",
		".well-known/x": "w", "_headers": "h", "a/_redirects": "kept",
	})
	files, ignored, err := readAssets(dir)
	require.NoError(t, err)
	require.Equal(t, []string{"_headers"}, ignored)
	require.Len(t, files, 4)
	require.Equal(t, "text/html; charset=utf-8", files["/index.html"].Type)
	require.Equal(t, "<p>", files["/index.html"].Text)
	require.Equal(t, []byte("\x89PNG\xff"), files["/a/b.PNG"].Data)
	require.Equal(t, "image/png", files["/a/b.PNG"].Type)
	require.Equal(t, "w", files["/.well-known/x"].Text)
	require.NotEqual(t, files["/index.html"].ETag, files["/.well-known/x"].ETag)

	write(t, dir, map[string]string{"big": string(make([]byte, maxAssetBytes))})
	_, _, err = readAssets(dir)
	require.ErrorIs(t, err, errTooLarge)
	_, _, err = readAssets(filepath.Join(dir, "none"))
	require.ErrorContains(t, err, "worker.assets.directory: ")
}

// TestAssetsStayInside links to a file outside of the directory.
func TestAssetsStayInside(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"secret": "s", "public/a": "a"})
	if err := os.Symlink("../secret", filepath.Join(dir, "public", "link")); err != nil {
		t.Skip(err)
	}
	_, _, err := readAssets(filepath.Join(dir, "public"))
	require.Error(t, err)
}

func TestParts(t *testing.T) {
	digests := map[string]bool{}
	for part, name := range map[Part]string{Glue: "serve.js", Tools: "wit/worker.wit"} {
		dir := t.TempDir()
		require.NoError(t, part.Write(dir))
		want, err := sources.ReadFile(string(part) + "/" + name)
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
		require.NoError(t, part.Write(dir)) // again
		digest, err := part.Digest()
		require.NoError(t, err)
		require.Regexp(t, "^[0-9a-f]{16}$", digest)
		digests[digest] = true
	}
	require.Len(t, digests, 2)
}
