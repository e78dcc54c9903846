package wasip1

import (
	"encoding/binary"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/files"
)

// mounted is the first descriptor after the standard streams.
const mounted = 3

var modified = time.Unix(1_700_000_000, 5)

// tree is a mounted directory.
func tree() abi.Mount {
	return abi.Mount{
		GuestPath: "/content",
		FS: fstest.MapFS{
			"a.txt":     {Data: []byte("hello"), ModTime: modified},
			"sub/b.txt": {Data: []byte("below")},
			"pipe":      {Mode: fs.ModeNamedPipe},
			"empty":     {Mode: fs.ModeDir},
		},
	}
}

// open calls path_open for reading.
func (g *guest) open(fd uint64, path string, flags uint64) (uint32, errno) {
	g.put(buffer, []byte(path))
	e := g.call("path_open", fd, 1, buffer, uint64(len(path)), flags, rightRead, 0, 0, result)
	return g.u32(result), e
}

func TestMountsAreFoundAsLibrariesDo(t *testing.T) {
	g := newGuest(t, tree(), abi.Mount{GuestPath: "/other", FS: fstest.MapFS{}})
	g.state.Begin(strings.NewReader(""), io.Discard, io.Discard)
	g.do(func() {
		var found []string
		for fd := uint64(mounted); ; fd++ {
			e := g.call("fd_prestat_get", fd, result)
			if e == errBadf {
				break
			}
			require.Equal(t, success, e)
			require.EqualValues(t, 0, g.u32(result), "the kind: a directory")
			length := uint64(g.u32(result + 4))
			require.Equal(t, errInval, g.call("fd_prestat_dir_name", fd, buffer, length-1))
			require.Equal(t, success, g.call("fd_prestat_dir_name", fd, buffer, length))
			found = append(found, string(g.bytes(buffer, uint32(length))))
			require.Equal(t, success, g.call("fd_fdstat_get", fd, result))
			require.EqualValues(t, typeDirectory, g.bytes(result, 1)[0])
		}
		require.Equal(t, []string{"/content", "/other"}, found)
	})
}

func TestOpen(t *testing.T) {
	long := strings.Repeat("x", files.MaxPathBytes+1)
	for _, c := range []struct {
		path   string
		flags  uint64
		rights uint64
		fd     uint64 // flags of the descriptor
		want   errno
	}{
		{"a.txt", 0, rightRead, 0, success},
		{"./a.txt", 0, rightRead, 0, success},
		{"sub/../a.txt", 0, rightRead, 0, success},
		{"sub", 0, rightRead, 0, success},
		{"sub/", openDirectory, 0, 0, success},
		{".", openDirectory, 0, 0, success},
		{"a.txt", openDirectory, 0, 0, errNotdir},
		{"none", 0, rightRead, 0, errNoent},
		{"", 0, rightRead, 0, errNoent},
		{"..", 0, rightRead, 0, errNotcap},
		{"../content/a.txt", 0, rightRead, 0, errNotcap},
		{"sub/../../a.txt", 0, rightRead, 0, errNotcap},
		{"/a.txt", 0, rightRead, 0, errNotcap},
		{"a.txt\x00", 0, rightRead, 0, errNotcap},
		{long, 0, rightRead, 0, errNametoolong},
		{"pipe", 0, rightRead, 0, errAcces},
		{"a.txt", 0, rightRead | rightWrite, 0, errRofs},
		{"a.txt", openTruncate, rightRead, 0, errRofs},
		{"new", openCreate, rightRead, 0, errRofs},
		{"a.txt", 0, rightRead, flagAppend, errRofs},
	} {
		t.Run(c.path[:min(len(c.path), 20)], func(t *testing.T) {
			g := newGuest(t, tree())
			g.state.Begin(nil, nil, nil)
			g.do(func() {
				g.put(buffer, []byte(c.path))
				e := g.call("path_open", mounted, 1, buffer, uint64(len(c.path)), c.flags, c.rights, 0, c.fd, result)
				require.Equal(t, c.want, e)
				if e == success {
					require.EqualValues(t, 0, g.u32(result), "the lowest number that is free")
				}
			})
		})
	}
}

func TestDirectoriesDoNotLeadUp(t *testing.T) {
	g := newGuest(t, tree())
	g.state.Begin(nil, nil, nil)
	g.do(func() {
		sub, e := g.open(mounted, "sub", openDirectory)
		require.Equal(t, success, e)
		_, e = g.open(uint64(sub), "b.txt", 0)
		require.Equal(t, success, e)
		_, e = g.open(uint64(sub), "../a.txt", 0)
		require.Equal(t, errNotcap, e, "a directory is a capability for what is below it")
	})
}

func TestFilesAreRead(t *testing.T) {
	g := newGuest(t, tree())
	g.state.Begin(nil, nil, nil)
	g.do(func() {
		at, e := g.open(mounted, "a.txt", 0)
		require.Equal(t, success, e)
		fd := uint64(at)
		read := func() string {
			g.putVectors(table, buffer, 3)
			require.Equal(t, success, g.call("fd_read", fd, table, 1, result))
			return string(g.bytes(buffer, g.u32(result)))
		}
		require.Equal(t, "hel", read())
		require.Equal(t, success, g.call("fd_tell", fd, result))
		require.EqualValues(t, 3, g.u64(result))
		require.Equal(t, "lo", read())
		require.Equal(t, "", read())
		require.Equal(t, success, g.call("fd_seek", fd, math.MaxUint64 /* -1 */, io.SeekEnd, result))
		require.EqualValues(t, 4, g.u64(result))
		require.Equal(t, "o", read())
		require.Equal(t, errInval, g.call("fd_seek", fd, 0, 3, result))
		require.Equal(t, errInval, g.call("fd_seek", fd, 1<<63, io.SeekStart, result), "before the beginning")

		g.putVectors(table, buffer, 2, buffer+2, 100)
		require.Equal(t, success, g.call("fd_pread", fd, table, 2, 1, result))
		require.Equal(t, "ello", string(g.bytes(buffer, g.u32(result))))
		require.Equal(t, success, g.call("fd_pread", fd, table, 2, 5, result))
		require.EqualValues(t, 0, g.u32(result), "behind the end")
		require.Equal(t, errInval, g.call("fd_pread", fd, table, 2, 1<<63, result))
		require.Equal(t, errBadf, g.call("fd_write", fd, table, 1, result))

		require.Equal(t, success, g.call("fd_filestat_get", fd, result))
		require.EqualValues(t, typeRegular, g.bytes(result+16, 1)[0])
		require.EqualValues(t, 5, g.u64(result+32))
		require.EqualValues(t, modified.UnixNano(), g.u64(result+48))
		require.Equal(t, success, g.call("fd_advise", fd, 0, 0, 0))
		require.Equal(t, success, g.call("fd_close", fd))
		require.Equal(t, errBadf, g.call("fd_tell", fd, result))
		require.Equal(t, errIsdir, g.call("fd_read", mounted, table, 1, result))
		require.Equal(t, errIsdir, g.call("fd_pread", mounted, table, 1, 0, result))
		require.Equal(t, errSpipe, g.call("fd_seek", mounted, 0, 0, result))
	})
}

func TestNothingCanBeChanged(t *testing.T) {
	g := newGuest(t, tree())
	g.state.Begin(nil, nil, nil)
	g.do(func() {
		g.put(buffer, []byte("a.txt"))
		for name, params := range map[string][]uint64{
			"path_create_directory":   {mounted, buffer, 5},
			"path_filestat_set_times": {mounted, 0, buffer, 5, 0, 0, 0},
			"path_link":               {mounted, 0, buffer, 5, mounted, buffer, 4},
			"path_remove_directory":   {mounted, buffer, 5},
			"path_rename":             {mounted, buffer, 5, mounted, buffer, 4},
			"path_unlink_file":        {mounted, buffer, 5},
		} {
			require.Equal(t, errRofs, g.call(name, params...), name)
		}
	})
}

// dirent is a directory entry as read by a guest.
type dirent struct {
	name string
	kind byte
}

// readdir reads a directory as a C library does: with a buffer whose last entry may be truncated.
func (g *guest) readdir(fd uint64, size uint32) (list []dirent) {
	for cookie := uint64(0); ; {
		require.Equal(g.t, success, g.call("fd_readdir", fd, buffer, uint64(size), cookie, result))
		used := g.u32(result)
		b := g.bytes(buffer, used)
		for len(b) >= direntBytes {
			n := binary.LittleEndian.Uint32(b[16:])
			if len(b) < direntBytes+int(n) {
				break
			}
			list = append(list, dirent{string(b[direntBytes : direntBytes+n]), b[20]})
			cookie = binary.LittleEndian.Uint64(b)
			b = b[direntBytes+n:]
		}
		if used < size {
			return list
		}
	}
}

func TestReaddir(t *testing.T) {
	want := []dirent{{".", typeDirectory}, {"..", typeDirectory}, {"a.txt", typeRegular}, {"empty", typeDirectory},
		{"pipe", typeUnknown}, {"sub", typeDirectory}}
	g := newGuest(t, tree())
	g.state.Begin(nil, nil, nil)
	g.do(func() {
		for _, size := range []uint32{30, 31, 48, 100, 4096} {
			require.Equal(t, want, g.readdir(mounted, size), size)
		}
		require.Equal(t, success, g.call("fd_readdir", mounted, buffer, 100, 1000, result), "a cookie of no entry")
		require.EqualValues(t, 0, g.u32(result))
		require.Equal(t, success, g.call("fd_readdir", mounted, buffer, 100, math.MaxUint64, result))
		require.EqualValues(t, 0, g.u32(result))
		empty, e := g.open(mounted, "empty", openDirectory)
		require.Equal(t, success, e)
		require.Len(t, g.readdir(uint64(empty), 100), 2)
	})
}

func TestDescriptorsAreBounded(t *testing.T) {
	g := newGuest(t, tree())
	for range 2 {
		g.state.Begin(strings.NewReader(""), io.Discard, io.Discard)
		g.do(func() {
			for want := uint32(mounted + 1); want < maxDescriptors; want++ {
				fd, e := g.open(mounted, "a.txt", 0)
				require.Equal(t, success, e)
				require.Equal(t, want, fd)
			}
			_, e := g.open(mounted, "a.txt", 0)
			require.Equal(t, errMfile, e)
			require.Equal(t, success, g.call("fd_close", 77))
			fd, e := g.open(mounted, "a.txt", 0)
			require.Equal(t, success, e)
			require.EqualValues(t, 77, fd)
		})
	}
}

// TestPipesOfTheHostAreNotOpened would block forever if they were.
func TestPipesOfTheHostAreNotOpened(t *testing.T) {
	dir := t.TempDir()
	makePipe(t, filepath.Join(dir, "pipe"))
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	g := newGuest(t, abi.Mount{GuestPath: "/d", FS: root.FS()})
	g.state.Begin(nil, nil, nil)
	g.do(func() {
		_, e := g.open(mounted, "pipe", 0)
		require.Equal(t, errAcces, e)
	})
}
