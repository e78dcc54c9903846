package static_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/kinds/static"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// TestMain fails if the tests leak a goroutine of a server, a directory or a file.
func TestMain(m *testing.M) { os.Exit(servicetest.Main(m)) }

// site is a server with one service. Its files are in dir.
type site struct {
	*servicetest.Server
	t   *testing.T
	dir string
	key string
}

// serve serves files, given as path and content. They are old enough for strong entity tags. A version that is replaced
// or removed is closed at once.
func serve(t *testing.T, key string, doc static.Document, files map[string]string) *site {
	t.Helper()
	top := t.TempDir()
	s := &site{t: t, key: key, dir: filepath.Join(top, "www")}
	now := time.Now() // of all files: a compressed one of an earlier second than the plain one is not used
	for name, content := range files {
		s.write(name, content)
		s.date(name, now.Add(-time.Hour))
	}
	require.NoError(t, os.MkdirAll(s.dir, 0o755))
	s.Server = servicetest.New(t, servicetest.Config{Deploy: deploy.Config{RetireAfter: 1}})
	s.Start(static.New(static.Config{Root: openRoot(t, top)}))
	doc.Directory = "www"
	s.Deploy(spec(key, doc))
	return s
}

// openRoot opens a directory until the end of the test.
func openRoot(t testing.TB, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, root.Close()) })
	return root
}

func spec(key string, doc static.Document, options ...servicetest.Option) services.Spec {
	return servicetest.Spec(static.KindName, key, doc, options...)
}

// write creates a file with a modification time one hour ago.
func (s *site) write(name, content string) {
	s.t.Helper()
	path := filepath.Join(s.dir, filepath.FromSlash(name))
	require.NoError(s.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(s.t, os.WriteFile(path, []byte(content), 0o644))
	s.age(name, time.Hour)
}

func (s *site) age(name string, age time.Duration) {
	s.t.Helper()
	s.date(name, time.Now().Add(-age))
}

// date sets the modification time of a file, in whole seconds.
func (s *site) date(name string, at time.Time) {
	s.t.Helper()
	at = at.Truncate(time.Second)
	require.NoError(s.t, os.Chtimes(filepath.Join(s.dir, filepath.FromSlash(name)), at, at))
}

type reply struct{ servicetest.Answer }

// get requests a path below the prefix, with headers given as "Name: value".
func (s *site) get(path string, headers ...string) reply {
	s.t.Helper()
	return s.do("GET", path, headers...)
}

func (s *site) do(method, path string, headers ...string) reply {
	s.t.Helper()
	return reply{s.Send(method, strings.TrimSuffix(s.key, "/")+path, "", headers...)}
}

func (r reply) requireProblem(t *testing.T, kind problem.Kind) {
	t.Helper()
	r.RequireProblem(t, kind)
	require.NotContains(t, r.Body, "www")
}
