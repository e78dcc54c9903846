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
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/internal/document"
	"github.com/vespo-dev/vespo/services/kinds/static"
	"github.com/vespo-dev/vespo/services/servicetest"
)

func TestDocumentIsCanonical(t *testing.T) {
	for _, directory := range []string{"a/b", "a/b/", "./a//b", "a/x/../b"} {
		d := static.Document{Directory: directory, Fallback: "./c.html", CacheControl: "max-age=1"}
		require.Equal(t, `{"directory":"a/b","fallback":"c.html","cache_control":"max-age=1"}`, string(d.Encode()))
	}
	require.Equal(t, `{"directory":"."}`, string(static.Document{Directory: "."}.Encode()))
	require.Equal(t, `{"directory":"../a"}`, string(static.Document{Directory: "../a"}.Encode()), "what is wrong is shown as it was given")
}

func TestDecodeRefuses(t *testing.T) {
	for _, text := range []string{"", "[]", `{"directory":1}`, `{"dir":"a"}`, `{"directory":"a"}x`, "\x00asm",
		`{"directory":"` + strings.Repeat("a", document.MaxBytes) + `"}`} {
		_, err := static.Decode([]byte(text))
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
	return strings.Join(p.Violations, "\n")
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
		{static.Document{Directory: "www", CacheControl: "a\r\nX: y"}, "not the value of a header"},
		{static.Document{Directory: "www", CacheControl: strings.Repeat("a", 2000)}, "not the value of a header"},
	} {
		got := violations(t, k, spec("/", c.doc))
		require.Contains(t, got, c.want, c.doc)
		require.Equal(t, c.want == "", got == "", got)
	}
	all := violations(t, static.New(static.Config{}), spec("/", static.Document{Directory: "..", Fallback: "/", CacheControl: "\x7f"},
		servicetest.WithMemory(1), servicetest.WithTimeout(time.Second), servicetest.WithIsolation("x"), servicetest.WithAllow("a"),
		servicetest.WithConfig(map[string]string{"a": "b"}), servicetest.WithMounts(map[string]string{"/a": "b"})))
	for _, want := range []string{"start it with --root", "static is", "fallback is", "cache_control is", "memory", "timeout", "isolation", "allow",
		"config", "mount"} {
		require.Contains(t, all, want)
	}
	_, err := static.New(static.Config{}).Prepare(t.Context(), spec("/", static.Document{Directory: "www"}))
	require.ErrorContains(t, err, "start it with --root", "a server may be started without what it had")
	_, err = k.Prepare(t.Context(), spec("/", static.Document{Directory: "none"}))
	require.ErrorContains(t, err, "no such directory")
	require.Equal(t, "static", k.Name())
}

// FuzzDocument checks that accepted documents re-encode to the same bytes, and that
// their directory is below the root.
func FuzzDocument(f *testing.F) {
	for _, text := range []string{
		`{"directory":"www","fallback":"index.html","cache_control":"max-age=1"}`, `{"directory":"."}`, `{"directory":"../.."}`,
		`{"directory":"a\u0000b","fallback":"x/.y"}`, `[]`,
	} {
		f.Add([]byte(text))
	}
	top := f.TempDir()
	require.NoError(f, os.MkdirAll(filepath.Join(top, "root", "www"), 0o755))
	require.NoError(f, os.WriteFile(filepath.Join(top, "root", "www", "index.html"), nil, 0o644))
	kind := static.New(static.Config{Root: openRoot(f, filepath.Join(top, "root"))})
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := static.Decode(text)
		if err != nil {
			return
		}
		again, err := static.Decode(d.Encode())
		require.NoError(t, err)
		require.Equal(t, d.Encode(), again.Encode())
		wrong := violations(t, kind, servicetest.Module(static.KindName, "/", text))
		prepared, err := kind.Prepare(t.Context(), servicetest.Module(static.KindName, "/", text))
		if err != nil {
			require.NotEmpty(t, wrong)
			return
		}
		defer func() { require.NoError(t, prepared.Close(t.Context())) }()
		require.True(t, filepath.IsLocal(d.Directory))
	})
}
