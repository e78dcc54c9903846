package wasip1

import (
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/files"
)

// directory creates a directory with files and returns it as a mount.
func directory(t *testing.T, files ...string) (abi.Mount, string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644))
	}
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, root.Close()) })
	return abi.Mount{GuestPath: "/content", FS: regular.FS(root)}, dir
}

// identityOf returns device and inode. path_filestat_get and fd_filestat_get must agree on them.
func (g *guest) identityOf(name string) [2]uint64 {
	g.t.Helper()
	g.put(buffer, []byte(name))
	require.Equal(g.t, success, g.call("path_filestat_get", mounted, 1, buffer, uint64(len(name)), result), name)
	id := [2]uint64{g.u64(result), g.u64(result + 8)}
	fd, e := g.open(mounted, name, 0)
	require.Equal(g.t, success, e)
	require.Equal(g.t, success, g.call("fd_filestat_get", uint64(fd), result))
	require.Equal(g.t, id, [2]uint64{g.u64(result), g.u64(result + 8)}, name)
	return id
}

// inodes returns the inode numbers of a directory's entries.
func (g *guest) inodes(fd uint64) map[string]uint64 {
	found := map[string]uint64{}
	require.Equal(g.t, success, g.call("fd_readdir", fd, buffer, 4096, 0, result))
	for b := g.bytes(buffer, g.u32(result)); len(b) > 0; {
		n := binary.LittleEndian.Uint32(b[16:])
		found[string(b[direntBytes:direntBytes+n])] = binary.LittleEndian.Uint64(b[8:])
		b = b[direntBytes+n:]
	}
	return found
}

func TestFilesAreToldApart(t *testing.T) {
	mount, dir := directory(t, "a", "b", "sub/c")
	require.NoError(t, os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "again")))
	require.NoError(t, os.Symlink("a", filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "dangling")))
	g := newGuest(t, mount)
	g.state.FileKey = [16]byte{1}
	g.state.Begin(nil, nil, nil)
	g.do(func() {
		a := g.identityOf("a")
		require.Equal(t, a, g.identityOf("again"), "one file by two names")
		require.Equal(t, a, g.identityOf("link"), "links are followed")
		seen := map[[2]uint64]string{}
		for _, name := range []string{"a", "b", "sub", "sub/c", "."} {
			id := g.identityOf(name)
			require.NotZero(t, id[0], name)
			require.NotZero(t, id[1], name)
			require.NotContains(t, seen, id, "%s has the number of %s", name, seen[id])
			seen[id] = name
			host, err := os.Stat(filepath.Join(dir, name))
			require.NoError(t, err)
			if device, number, ok := files.Identity(host); ok {
				require.NotEqual(t, [2]uint64{device, number}, id, "the numbers of the host")
			}
		}
		listed := g.inodes(mounted)
		for _, name := range []string{"a", "b", "sub", "again", "link", "."} {
			require.Equal(t, g.identityOf(name)[1], listed[name], name)
		}
		require.NotZero(t, listed["dangling"])
		sub, e := g.open(mounted, "sub", openDirectory)
		require.Equal(t, success, e)
		require.Equal(t, g.identityOf(".")[1], g.inodes(uint64(sub))[".."])

		before := a[1]
		g.state.FileKey = [16]byte{2}
		require.NotEqual(t, before, g.identityOf("a")[1], "another service cannot compare")
	})
}

func TestStreamsAreToldApart(t *testing.T) {
	g := newGuest(t)
	g.state.Begin(nil, os.Stdout, os.Stderr)
	g.do(func() {
		require.Equal(t, success, g.call("fd_filestat_get", 1, result))
		out := g.u64(result + 8)
		require.Equal(t, success, g.call("fd_filestat_get", 2, result))
		require.NotEqual(t, out, g.u64(result+8))
		require.NotZero(t, out)
	})
}

// File systems may have names that are not UTF-8.
func TestNamesAreBytes(t *testing.T) {
	mount, _ := directory(t, "caf\xe9", "sub/\xff\xfe")
	g := newGuest(t, mount)
	g.state.Begin(nil, nil, nil)
	g.do(func() {
		for _, name := range []string{"caf\xe9", "sub/\xff\xfe"} {
			_, e := g.open(mounted, name, 0)
			require.Equal(t, success, e, name)
		}
		require.Contains(t, g.inodes(mounted), "caf\xe9")
		_, e := g.open(mounted, "\xff", 0)
		require.Equal(t, errNoent, e)
	})
}

// A mount is pinned at its first use, once per request, and released at its end.
func TestMountsArePinnedForARequest(t *testing.T) {
	first, _ := directory(t, "a")
	second, _ := directory(t, "b")
	now, pins, released := first.FS, 0, 0
	g := newGuest(t, abi.Mount{
		GuestPath: "/content",
		Pin: func() (fs.FS, func()) {
			pins++
			return now, func() { released++ }
		},
	})
	g.state.Begin(nil, nil, nil)
	g.do(func() { require.Equal(t, success, g.call("fd_prestat_get", mounted, result)) })
	g.state.End()
	require.Zero(t, pins, "it was not used")
	g.state.Begin(nil, nil, nil)
	g.do(func() {
		_, e := g.open(mounted, "a", 0)
		require.Equal(t, success, e)
		now = second.FS
		_, e = g.open(mounted, "a", 0)
		require.Equal(t, success, e, "the request sees the directory that it began with")
		require.Equal(t, success, g.call("fd_renumber", mounted, 0)) // replaces the descriptor of the first file
		_, e = g.open(0, "a", 0)
		require.Equal(t, success, e)
	})
	require.Equal(t, 1, pins)
	require.Zero(t, released)
	g.state.End()
	require.Equal(t, 1, released)
	g.state.Begin(nil, nil, nil)
	g.do(func() {
		_, e := g.open(mounted, "b", 0)
		require.Equal(t, success, e, "the next request sees the other")
	})
	g.state.End()
	require.Equal(t, 2, released)
}
