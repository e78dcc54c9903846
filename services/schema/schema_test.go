package schema_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/schema"
	"github.com/vespo-dev/vespo/services/servicetest/allkinds"
)

func TestFormsOfVersions(t *testing.T) {
	for _, c := range []struct {
		kind, manifest, form string
		blobs                []registry.Blob
	}{
		{"wasm", `{"memory":65536}`, "module", []registry.Blob{{Field: "module"}}},
		{"function", `{}`, "function", nil},
		{"function", `{"timeout":"1s","worker_concurrency":3}`, "function", nil},
		{"function", `{"runtime_port":9001}`, "function", nil},
		{"function", `{"exec":"/bin/cat","timeout":"1s"}`, "exec", nil},
		{"function", `{"config":{"A":"b"},"package":"0"}`, "exec", nil}, // a program that no request has selected
		{"proxy", `{"upstream":["http://a"]}`, "upstream", nil},
	} {
		kind, _ := allkinds.Describe().Get(c.kind)
		_, form, err := kind.ValuesOf(registry.Version{Kind: c.kind, Manifest: registry.Manifest(c.manifest), Blobs: c.blobs})
		require.NoError(t, err)
		require.Equal(t, c.form, form.Requires[0], c.manifest)
	}
	kind, _ := allkinds.Describe().Get("static")
	for _, bad := range []registry.Manifest{`{"surprise":1}`, `{"static":1}`, `[]`, `{`} {
		_, _, err := kind.ValuesOf(registry.Version{Kind: "static", Manifest: bad})
		require.Error(t, err, bad)
	}
}

func TestManifestsAreEdited(t *testing.T) {
	const m registry.Manifest = `{"a":[1,2],"b":"<&>","timeout":"1m30s"}`
	require.Equal(t, registry.Manifest(`{"b":"<&>"}`), schema.Pick(m, "b", "none"))
	require.Equal(t, registry.Manifest(`{"a":[1,2],"timeout":"1m30s"}`), schema.Without(m, "b"))
	require.Equal(t, registry.EmptyManifest, schema.Pick("", "a"))
	require.Equal(t, registry.Manifest(`{"a":[1,2],"b":"c","d":1,"timeout":"1m30s"}`), schema.With(m, map[string]any{"b": "c", "d": 1}))
	require.Equal(t, registry.Manifest(`{"timeout":"1m30s"}`), schema.With(m, map[string]any{"a": nil, "b": nil}))
	require.Equal(t, registry.Manifest(`{"a":0,"b":"<&>","timeout":"1m30s"}`), schema.Merge(m, `{"a":0}`))
	require.Equal(t, 90*time.Second, schema.TimeoutOf(m))
	require.Zero(t, schema.TimeoutOf(`{"timeout":7}`))
	for _, bad := range []registry.Manifest{`[]`, `{`, `x`} {
		require.Equal(t, bad, schema.Without(bad, "a"), "what is malformed stays for the kind to refuse")
		require.Equal(t, bad, schema.With(bad, map[string]any{"a": 1}))
	}
}

func TestValuesHaveOneText(t *testing.T) {
	for _, f := range allkinds.Describe().AllFields() {
		for _, text := range []string{"1", "true", "false", "16MiB", "1000", "60s", "a=b", "./x//y", "upstream", "fresh", "https://a.example", ""} {
			value, refused := f.Parse(text)
			if refused != "" {
				continue
			}
			again, refused := f.Parse(f.Show(value))
			require.Empty(t, refused, "%s %q", f.Name, text)
			require.Equal(t, value, again, "%s %q", f.Name, text)
			values := make(schema.Values)
			values.Put(f, value)
			back, err := schema.ParseManifest([]schema.Field{f}, values.Manifest())
			require.NoError(t, err)
			require.Equal(t, values.Manifest(), back.Manifest())
		}
	}
	require.Equal(t, "60KiB", schema.SizeText(60<<10))
	require.Equal(t, "1025", schema.SizeText(1025))
	var p schema.Period
	require.Error(t, json.Unmarshal([]byte(`"soon"`), &p))
}

func TestPart(t *testing.T) {
	type part struct {
		A int  `json:"a"`
		B bool `json:"b"`
	}
	for manifest, want := range map[registry.Manifest]part{
		``:                     {},
		`{}`:                   {},
		`{"c":"\"a\""}`:        {},
		`{"a":1,"c":[2]}`:      {A: 1},
		`{"b":true}`:           {B: true},
		`{"b":true,"a":"one"`:  {},
		`{"b":true,"a":"one"}`: {},
	} {
		require.Equal(t, want, schema.Part[part](manifest, "a", "b"), manifest)
	}
}
