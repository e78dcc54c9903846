package directory

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// place is a root with a directory "site" in it.
type place struct {
	t    *testing.T
	top  string // above the root
	root *os.Root
	log  bytes.Buffer
	*Directory
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, top: t.TempDir()}
	p.make("one")
	root, err := os.OpenRoot(filepath.Join(p.top, "root"))
	require.NoError(t, err)
	p.root = root
	t.Cleanup(func() { require.NoError(t, root.Close()) })
	p.Directory, err = Open(Config{Root: root, Name: "site", Service: "/a", Log: slog.New(slog.NewTextHandler(&p.log, nil))})
	require.NoError(t, err)
	return p
}

func (p *place) path(name string) string { return filepath.Join(p.top, "root", name) }

// make creates the directory with a file of the given content.
func (p *place) make(text string) {
	p.t.Helper()
	require.NoError(p.t, os.MkdirAll(p.path("site"), 0o755))
	require.NoError(p.t, os.WriteFile(p.path("site/file"), []byte(text), 0o644))
}

// read returns the content of the file through a new handle.
func (p *place) read() string {
	p.t.Helper()
	h, err := p.Acquire(true)
	require.NoError(p.t, err)
	defer h.Release()
	text, err := h.ReadFile("file")
	require.NoError(p.t, err)
	return string(text)
}

func TestReplacedDirectoriesAreFollowed(t *testing.T) {
	for name, replace := range map[string]func(p *place){
		"removed and made anew": func(p *place) {
			require.NoError(t, os.RemoveAll(p.path("site")))
			p.make("two")
		},
		"renamed": func(p *place) {
			require.NoError(t, os.Rename(p.path("site"), p.path("old")))
			p.make("two")
		},
		"a link that leads elsewhere": func(p *place) {
			require.NoError(t, os.Rename(p.path("site"), p.path("v1")))
			require.NoError(t, os.Mkdir(p.path("v2"), 0o755))
			require.NoError(t, os.WriteFile(p.path("v2/file"), []byte("two"), 0o644))
			require.NoError(t, os.Symlink("v2", p.path("site")))
		},
		"with the root above it": func(p *place) {
			require.NoError(t, os.RemoveAll(filepath.Join(p.top, "root")))
			p.make("two")
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			defer func() { require.NoError(t, p.Close()) }()
			require.Equal(t, "one", p.read())
			before, err := p.Acquire(true)
			require.NoError(t, err)
			opened, err := before.Open("file")
			require.NoError(t, err)
			replace(p)
			require.Equal(t, "two", p.read())
			require.Equal(t, "two", p.read(), "and it stays open")
			info, err := before.Stat(".")
			require.NoError(t, err, "who has begun with the old one ends with it")
			require.True(t, info.IsDir())
			require.NoError(t, opened.Close())
			before.Release()
			_, err = before.Stat(".")
			require.ErrorIs(t, err, fs.ErrClosed, "the last one closes it")
			present, replaced := p.State()
			require.True(t, present)
			require.False(t, replaced.IsZero())
			require.Equal(t, 1, strings.Count(p.log.String(), "replaced"), p.log.String())
		})
	}
}

func TestADirectoryThatIsGoneComesBack(t *testing.T) {
	p := newPlace(t)
	for range 2 {
		require.NoError(t, os.RemoveAll(p.path("site")))
		_, err := p.Acquire(true)
		require.ErrorIs(t, err, ErrGone)
		require.NoError(t, os.WriteFile(p.path("site"), nil, 0o644))
		_, err = p.Acquire(true)
		require.ErrorIs(t, err, ErrGone, "a file is none")
		require.NoError(t, os.Remove(p.path("site")))
		p.make("two")
		require.Equal(t, "two", p.read())
	}
	require.Contains(t, p.log.String(), "level=WARN msg=\"the directory of a service is gone\"")
	require.Equal(t, 1, strings.Count(p.log.String(), "is gone"), "the lines are bounded")
	held, err := p.Acquire(false)
	require.NoError(t, err)
	require.NoError(t, p.Close())
	_, err = held.Stat(".")
	require.ErrorIs(t, err, fs.ErrClosed)
	held.Release()
	_, err = p.Acquire(true)
	require.ErrorIs(t, err, fs.ErrClosed)
}

func TestALinkThatLeadsOutIsNotFollowed(t *testing.T) {
	p := newPlace(t)
	defer func() { require.NoError(t, p.Close()) }()
	require.NoError(t, os.Mkdir(filepath.Join(p.top, "outside"), 0o755))
	require.NoError(t, os.RemoveAll(p.path("site")))
	require.NoError(t, os.Symlink("../outside", p.path("site")))
	_, err := p.Acquire(true)
	require.ErrorIs(t, err, ErrGone)
}

// TestHammer replaces the directory under concurrent readers. They must see either
// state but never a closed handle, and no descriptor may leak.
func TestHammer(t *testing.T) {
	p := newPlace(t)
	const readers, rounds = 4, 200
	var all sync.WaitGroup
	stop := make(chan struct{})
	for n := range readers {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				h, err := p.Acquire(n%2 == 0)
				if err != nil {
					if err != ErrGone {
						t.Error(err)
					}
					continue
				}
				if _, err := h.Stat("."); err != nil {
					t.Error(err)
				}
				h.Release()
			}
		})
	}
	for range rounds {
		require.NoError(t, os.RemoveAll(p.path("site")))
		p.make("again")
	}
	close(stop)
	all.Wait()
	require.Equal(t, "again", p.read())
	require.Empty(t, p.retired)
	require.NoError(t, p.Close())
}
