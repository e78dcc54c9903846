package project

import (
	"flag"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write sdk.txtar anew")

// sdkSource is the directory of the SDK in this repository.
const sdkSource = "../../../../guest-sdk"

// TestSDKIsCurrent checks that the archive equals the SDK's sources,
// without tests, examples and the files that only those need.
func TestSDKIsCurrent(t *testing.T) {
	want := &txtar.Archive{Comment: []byte("The guest SDK. Written by \"go generate ./cmd/vespo/internal/project\".\n")}
	license, err := os.ReadFile(filepath.Join(sdkSource, "../LICENSE"))
	require.NoError(t, err)
	want.Files = append(want.Files, txtar.File{Name: "LICENSE", Data: license})
	source := os.DirFS(sdkSource)
	require.NoError(t, fs.WalkDir(source, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !forUsers(name) {
			return err
		}
		content, err := fs.ReadFile(source, name)
		want.Files = append(want.Files, txtar.File{Name: name, Data: content})
		return err
	}))
	if *update {
		require.NoError(t, os.WriteFile("sdk.txtar", txtar.Format(want), 0o644))
		return
	}
	files := sdk()
	for _, f := range want.Files {
		require.Equal(t, string(f.Data), string(files[f.Name]), "%s has changed: run go generate ./cmd/vespo/internal/project", f.Name)
		delete(files, f.Name)
	}
	require.Empty(t, files, "removed from guest-sdk: run go generate ./cmd/vespo/internal/project")
}

// forUsers reports whether a file belongs in a project.
func forUsers(name string) bool {
	top, _, _ := strings.Cut(name, "/")
	switch {
	case top == "examples", strings.HasSuffix(name, "_test.go"):
		return false
	case name == "go.mod":
		return true
	}
	return path.Ext(name) == ".go" || path.Ext(name) == ".md"
}
