//go:build unix

package regular

import (
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// hang is the time after which an open counts as blocked.
const hang = 30 * time.Second

// atOnce fails the test if f blocks.
func atOnce(t *testing.T, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(hang):
		t.Fatal("the call blocks")
		return nil
	}
}

// No special file is opened by any name, and no call blocks.
func TestSpecialFilesAreRefused(t *testing.T) {
	dir, root := tree(t)
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644))
	require.NoError(t, os.Symlink("fifo", filepath.Join(dir, "tofifo")))
	require.NoError(t, os.Symlink("/dev/null", filepath.Join(dir, "device")))
	l, err := net.Listen("unix", filepath.Join(dir, "socket"))
	require.NoError(t, err)
	defer l.Close()
	closed := func(f io.Closer, err error) error {
		if err == nil {
			_ = f.Close()
		}
		return err
	}
	for _, name := range []string{"fifo", "tofifo", "device", "socket"} {
		path := filepath.Join(dir, name)
		for what, open := range map[string]func() error{
			"Open":     func() error { return closed(Open(path)) },
			"write":    func() error { return closed(OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)) },
			"ReadFile": func() error { _, err := ReadFile(path, 10); return err },
		} {
			require.ErrorIs(t, atOnce(t, open), ErrSpecial, "%s of %s", what, name)
		}
		require.Error(t, atOnce(t, func() error { return closed(OpenRoot(path)) }), name)
		require.Error(t, atOnce(t, func() error { return closed(OpenRootIn(root, name)) }), name)
		require.Error(t, atOnce(t, func() error { return closed(FS(root).Open(name)) }), name)
		require.Error(t, atOnce(t, func() error { _, err := fs.ReadDir(FS(root), name); return err }), name)
		if name != "device" { // outside of root
			require.ErrorIs(t, atOnce(t, func() error { return closed(OpenIn(root, name)) }), ErrSpecial, name)
		}
	}
}

// A name that alternates between a directory and a pipe never blocks.
func TestSpecialFilesAreRefusedInARace(t *testing.T) {
	dir, root := tree(t)
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644))
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.Symlink([]string{"sub", "fifo"}[i%2], filepath.Join(dir, "next"))
			_ = os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "swapped"))
		}
	}()
	for range 500 {
		_ = atOnce(t, func() error {
			if sub, err := OpenRootIn(root, "swapped"); err == nil {
				return sub.Close()
			}
			return nil
		})
	}
	close(stop)
	<-stopped
}

// A pipe created by a shell for a command can be read, and a named pipe without a writer is empty.
func TestAnythingIsOpenedWithoutWaiting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(path, 0o644))
	require.NoError(t, atOnce(t, func() error {
		f, err := OpenAny(path)
		if err != nil {
			return err
		}
		defer f.Close()
		text, err := io.ReadAll(f)
		require.Empty(t, text)
		return err
	}))
	held, err := os.OpenFile(path, os.O_RDWR, 0) // keep both ends from blocking
	require.NoError(t, err)
	f, err := OpenAny(path)
	require.NoError(t, err)
	defer f.Close()
	go func() {
		_, _ = held.WriteString("text")
		_ = held.Close()
	}()
	text, err := io.ReadAll(f)
	require.NoError(t, err)
	require.Equal(t, "text", string(text))
}
