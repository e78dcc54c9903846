package static

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
	"github.com/vespo-dev/vespo/services/internal/document"
)

func TestDocumentIsCanonical(t *testing.T) {
	for _, directory := range []string{"a/b", "a/b/", "./a//b", "a/x/../b"} {
		d := Document{Directory: directory, Fallback: "./c.html", CacheControl: "max-age=1"}
		require.Equal(t, `{"directory":"a/b","fallback":"c.html","cache_control":"max-age=1"}`, string(d.Encode()))
	}
	require.Equal(t, `{"directory":"."}`, string(Document{Directory: "."}.Encode()))
	require.Equal(t, `{"directory":"../a"}`, string(Document{Directory: "../a"}.Encode()), "what is wrong is shown as it was given")
}

func TestDecodeRefuses(t *testing.T) {
	for _, text := range []string{"", "[]", `{"directory":1}`, `{"dir":"a"}`, `{"directory":"a"}x`, "\x00asm",
		`{"directory":"` + strings.Repeat("a", document.MaxBytes) + `"}`} {
		_, err := Decode([]byte(text))
		require.Error(t, err, "%.40q", text)
	}
}

// violations returns the violations that Validate reports.
func violations(t *testing.T, k *Kind, s services.Spec) string {
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
	root, err := os.OpenRoot(top)
	require.NoError(t, err)
	defer root.Close()
	k := New(Config{Root: root})
	for _, c := range []struct {
		doc  Document
		want string
	}{
		{Document{Directory: "www", Fallback: "index.html", CacheControl: "public, max-age=31536000, immutable"}, ""},
		{Document{Directory: "."}, ""},
		{Document{Directory: "www/sub"}, ""},
		{Document{}, "below the server's root"},
		{Document{Directory: "/etc"}, "below the server's root"},
		{Document{Directory: "../x"}, "below the server's root"},
		{Document{Directory: "none"}, "no such directory"},
		{Document{Directory: "www/index.html"}, "no such directory"},
		{Document{Directory: "out"}, "no such directory"},
		{Document{Directory: "www", Fallback: "none"}, "no such file in the directory"},
		{Document{Directory: "www", Fallback: "sub"}, "no such file in the directory"},
		{Document{Directory: "www", Fallback: "../x"}, "must be a file below the directory"},
		{Document{Directory: "www", Fallback: ".env"}, "must be a file below the directory"},
		{Document{Directory: "www", CacheControl: "a\r\nX: y"}, "not the value of a header"},
		{Document{Directory: "www", CacheControl: strings.Repeat("a", 2000)}, "not the value of a header"},
	} {
		got := violations(t, k, services.Spec{Module: c.doc.Encode()})
		require.Contains(t, got, c.want, c.doc)
		require.Equal(t, c.want == "", got == "", got)
	}
	all := violations(t, New(Config{}), services.Spec{
		Module: Document{Directory: "..", Fallback: "/", CacheControl: "\x7f"}.Encode(),
		Options: registry.Options{MemoryBytes: 1, Timeout: time.Second, Isolation: "x", Allow: []string{"a"}, Config: map[string]string{"a": "b"},
			Mounts: map[string]string{"/a": "b"}},
	})
	for _, want := range []string{"start it with --root", "static is", "fallback is", "cache_control is", "memory", "timeout", "isolation", "allow",
		"config", "mount"} {
		require.Contains(t, all, want)
	}
	_, err = New(Config{}).Prepare(t.Context(), services.Spec{Module: Document{Directory: "www"}.Encode()})
	require.ErrorContains(t, err, "start it with --root", "a server may be started without what it had")
	_, err = k.Prepare(t.Context(), services.Spec{Module: Document{Directory: "none"}.Encode()})
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
	root, err := os.OpenRoot(filepath.Join(top, "root"))
	require.NoError(f, err)
	f.Cleanup(func() { _ = root.Close() })
	kind := New(Config{Root: root})
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := Decode(text)
		if err != nil {
			return
		}
		again, err := Decode(d.Encode())
		require.NoError(t, err)
		require.Equal(t, d.Encode(), again.Encode())
		wrong := violations(t, kind, services.Spec{Module: text})
		prepared, err := kind.Prepare(t.Context(), services.Spec{Module: text})
		if err != nil {
			require.NotEmpty(t, wrong)
			return
		}
		defer func() { require.NoError(t, prepared.Close(t.Context())) }()
		require.True(t, filepath.IsLocal(d.Directory))
	})
}

// FuzzResolve checks that accepted paths are below the directory and not hidden.
func FuzzResolve(f *testing.F) {
	for _, path := range []string{"", "/", "/a/b", "/a/b/", "/%2e%2e/a", "/a%2fb", "/.well-known/x", "//", "/a//b", "/%00", "/a\\b", "/%"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		got, ok := resolve(rest)
		if !ok || got.name == "." {
			return
		}
		require.True(t, filepath.IsLocal(got.name))
		require.Equal(t, filepath.Clean(got.name), got.name)
		require.False(t, hidden(got.name))
		require.NotContains(t, got.name, "\\")
	})
}
