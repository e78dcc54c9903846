package static_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/kinds/static"
	"github.com/vespo-dev/vespo/services/schema"
	"github.com/vespo-dev/vespo/services/servicetest"
)

func TestDocumentIsCanonical(t *testing.T) {
	for _, directory := range []string{"a/b", "a/b/", "./a//b", "a/x/../b"} {
		d := static.Document{Directory: directory, Fallback: "./c.html", CacheControl: "max-age=1"}
		require.Equal(t, `{"cache_control":"max-age=1","fallback":"c.html","static":"a/b"}`, string(d.Encode()))
	}
	require.Equal(t, `{"static":"."}`, string(static.Document{Directory: "."}.Encode()))
	require.Equal(t, `{"static":"../a"}`, string(static.Document{Directory: "../a"}.Encode()), "what is wrong is shown as it was given")
}

func TestDecodeRefuses(t *testing.T) {
	for _, text := range []string{"[]", `{"static":1}`, `{"dir":"a"}`, `{"directory":"a"}`, `{"static":"a"}x`, "\x00asm",
		`{"static":"` + strings.Repeat("a", schema.MaxManifestBytes) + `"}`} {
		_, err := static.Decode(registry.Manifest(text))
		require.Error(t, err, "%.40q", text)
	}
}

// violations returns the violations that Validate reports.
func violations(t *testing.T, k services.Kind, s services.Spec) string {
	t.Helper()
	err := k.Validate(s)
	if err == nil {
		return ""
	}
	var p *problem.Problem
	require.True(t, errors.As(err, &p))
	require.Equal(t, problem.BadRequest, p.Kind())
	return strings.Join(problem.Texts(p.Violations), "\n")
}

func TestAllThatIsWrongIsTold(t *testing.T) {
	top := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(top, "www", "sub"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(top, "www", "index.html"), nil, 0o644))
	require.NoError(t, os.Symlink("/", filepath.Join(top, "out")))
	k := static.New(static.Config{Root: openRoot(t, top)})
	for _, c := range []struct {
		doc  static.Document
		want string
	}{
		{static.Document{Directory: "www", Fallback: "index.html", CacheControl: "public, max-age=31536000, immutable"}, ""},
		{static.Document{Directory: "."}, ""},
		{static.Document{Directory: "www/sub"}, ""},
		{static.Document{}, "below the server's root"},
		{static.Document{Directory: "/etc"}, "below the server's root"},
		{static.Document{Directory: "../x"}, "below the server's root"},
		{static.Document{Directory: "none"}, "no such directory"},
		{static.Document{Directory: "www/index.html"}, "no such directory"},
		{static.Document{Directory: "out"}, "no such directory"},
		{static.Document{Directory: "www", Fallback: "none"}, "no such file in the directory"},
		{static.Document{Directory: "www", Fallback: "sub"}, "no such file in the directory"},
		{static.Document{Directory: "www", Fallback: "../x"}, "must be a file below the directory"},
		{static.Document{Directory: "www", Fallback: ".env"}, "must be a file below the directory"},
		{static.Document{Directory: "www", CacheControl: "a\r\nX: y"}, "must be the value of a header"},
		{static.Document{Directory: "www", CacheControl: strings.Repeat("a", 2000)}, "must be the value of a header"},
	} {
		got := violations(t, k, spec("/", c.doc))
		require.Contains(t, got, c.want, c.doc)
		require.Equal(t, c.want == "", got == "", got)
	}
	all := violations(t, static.New(static.Config{}), spec("/", static.Document{Directory: "..", Fallback: "/", CacheControl: "\x7f"}))
	for _, want := range []string{"start it with --root", "static is", "fallback is", "cache_control is"} {
		require.Contains(t, all, want)
	}
	require.Contains(t, violations(t, k, spec("/", static.Document{Directory: "."}, servicetest.WithTimeout(time.Second))), "timeout")
	_, err := static.New(static.Config{}).Prepare(t.Context(), spec("/", static.Document{Directory: "www"}))
	require.ErrorContains(t, err, "start it with --root", "a server may be started without what it had")
	_, err = k.Prepare(t.Context(), spec("/", static.Document{Directory: "none"}))
	require.ErrorContains(t, err, "no such directory")
	require.Equal(t, "static", k.Describe().Name)
}

// FuzzDocument checks that accepted documents re-encode to the same bytes, and that
// their directory is below the root.
func FuzzDocument(f *testing.F) {
	for _, text := range []string{
		`{"static":"www","fallback":"index.html","cache_control":"max-age=1"}`, `{"static":"."}`, `{"static":"../.."}`,
		`{"static":"a\u0000b","fallback":"x/.y"}`, `[]`,
	} {
		f.Add([]byte(text))
	}
	top := f.TempDir()
	require.NoError(f, os.MkdirAll(filepath.Join(top, "root", "www"), 0o755))
	require.NoError(f, os.WriteFile(filepath.Join(top, "root", "www", "index.html"), nil, 0o644))
	kind := static.New(static.Config{Root: openRoot(f, filepath.Join(top, "root"))})
	f.Fuzz(func(t *testing.T, text []byte) {
		m := registry.Manifest(text)
		d, err := static.Decode(m)
		if err != nil {
			return
		}
		again, err := static.Decode(d.Encode())
		require.NoError(t, err)
		require.Equal(t, d.Encode(), again.Encode())
		wrong := violations(t, kind, servicetest.Manifest(static.KindName, "/", m))
		prepared, err := kind.Prepare(t.Context(), servicetest.Manifest(static.KindName, "/", m))
		if err != nil {
			require.NotEmpty(t, wrong)
			return
		}
		defer func() { require.NoError(t, prepared.Close(t.Context())) }()
		require.True(t, filepath.IsLocal(d.Directory))
	})
}
