package durable_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/durable/crashtest"
)

// keptFiles are three files that are replaced and set aside in turns.
type keptFiles struct {
	fs    durable.FS
	files *durable.Files
}

func openFiles(fsys durable.FS) (crashtest.Kept, error) {
	for _, dir := range []string{"tmp", "aside", "kept/here"} {
		if err := fsys.MkdirAll(dir); err != nil {
			return nil, err
		}
	}
	k := keptFiles{fs: fsys, files: durable.NewFiles(fsys, "tmp", "aside")}
	if err := k.files.EmptyTmp(); err != nil {
		return nil, err
	}
	return k, fsys.SyncDir("kept/here") // a dead process may have renamed without a sync
}

func (k keptFiles) Step(n int) error {
	return k.files.Write(fmt.Sprintf("kept/here/%d", n%3), []byte(strings.Repeat(fmt.Sprint(n), 100)))
}

func (k keptFiles) State() any {
	found := make(map[string]string)
	entries, err := k.fs.ReadDir("kept/here")
	if err != nil {
		return err
	}
	for _, e := range entries {
		data, err := k.fs.ReadFile("kept/here/"+e.Name, 1<<20)
		if err != nil {
			return err
		}
		found[e.Name] = string(data)
	}
	return found
}

func (k keptFiles) Close() error { return nil }

// TestFilesAreWholeAfterEveryCrash replaces files. Files does not undo a rename whose sync fails: its users do.
func TestFilesAreWholeAfterEveryCrash(t *testing.T) {
	crashtest.RunCrashes(t, crashtest.Subject{Open: openFiles, Steps: 7})
}

// TestDir checks the parts of Dir that the model cannot show.
func TestDir(t *testing.T) {
	dir := t.TempDir()
	fsys := durable.Dir(dir)
	require.NoError(t, fsys.MkdirAll("a/b"))
	f, err := fsys.Create("a/b/file", 0o640)
	require.NoError(t, err)
	_, err = f.Write([]byte("content"))
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
	_, err = fsys.Create("a/b/file", 0o640)
	require.ErrorIs(t, err, fs.ErrExist)

	info, err := os.Stat(filepath.Join(dir, "a", "b"))
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o077, "what is inside is its owner's")
	data, err := fsys.ReadFile("a/b/file", 7)
	require.NoError(t, err)
	require.Equal(t, "content", string(data))
	for name, want := range map[string]error{
		"a/b/file": durable.ErrTooLarge,
		"a/b":      durable.ErrIrregular,
		"a/none":   fs.ErrNotExist,
	} {
		_, err := fsys.ReadFile(name, 6)
		require.ErrorIs(t, err, want, name)
	}
	entries, err := fsys.ReadDir("a")
	require.NoError(t, err)
	require.Equal(t, []durable.Entry{{Name: "b", Dir: true}}, entries)
	require.NoError(t, fsys.Rename("a", "c"))
	require.NoError(t, fsys.SyncDir("."))
	require.NoError(t, fsys.Remove("c/b/file"))
	require.NoError(t, fsys.Remove("c/b"))
	require.ErrorIs(t, fsys.Remove("c/b"), fs.ErrNotExist)
}

// TestSetAside sets many files of the same long name aside at the same time. None is lost.
func TestSetAside(t *testing.T) {
	dir := t.TempDir()
	fsys := durable.Dir(dir)
	long := strings.Repeat("n", 255)
	require.NoError(t, fsys.MkdirAll("aside"))
	require.NoError(t, fsys.MkdirAll("tmp"))
	files := durable.NewFiles(fsys, "tmp", "aside")
	var all sync.WaitGroup
	for n := range 20 {
		from := fmt.Sprintf("d%d", n)
		require.NoError(t, fsys.MkdirAll(from))
		require.NoError(t, files.Write(from+"/"+long, []byte(from)))
		all.Go(func() {
			if _, err := files.SetAside(from, long); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	entries, err := fsys.ReadDir("aside")
	require.NoError(t, err)
	require.Len(t, entries, 20)
}
