package lambda

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// migrated opens a data directory with its functions.
func migrated(t *testing.T, dir string) (h *Handler, catalogue *registry.Registry, done func()) {
	t.Helper()
	s := servicetest.New(t, servicetest.Config{Dir: dir})
	kind := function.New(function.Config{AllowExec: true, Packages: filepath.Join(dir, "lambda", "code")})
	s.Build(kind)
	require.NoError(t, kind.Retain(s.Registry.State()))
	return New(Config{Catalogue: s.Deployer, Dispatcher: s.Router, Kinds: Kinds{Program: function.KindName}}), s.Registry, s.Close
}

// TestDirectoryOfVersion1 opens a data directory that was written by a server whose Lambda API had files of its own.
// Nothing of it is lost, and their file is read once.
func TestDirectoryOfVersion1(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "v1"))))
	text, err := os.ReadFile(filepath.Join(dir, "lambda", "functions.json"))
	require.NoError(t, err)
	var want map[string]record
	require.NoError(t, json.Unmarshal(text, &want))
	require.Len(t, want, 2)
	code, err := os.ReadDir(filepath.Join(dir, "lambda", "code"))
	require.NoError(t, err)

	h, catalogue, done := migrated(t, dir)
	for name, own := range want {
		require.Equal(t, own, h.book.get(name))
	}
	before := catalogue.State()
	require.Len(t, before.Services, 4)
	for _, e := range h.cfg.Catalogue.List() {
		require.NoError(t, e.Problem, e.Service.Key)
	}
	left, err := os.ReadDir(filepath.Join(dir, "lambda", "code"))
	require.NoError(t, err)
	require.Len(t, left, len(code)-1, "what is left of a removed function is deleted, the code of versions is kept")
	done()

	require.NoError(t, os.WriteFile(filepath.Join(dir, "lambda", "functions.json"), []byte("not read any more"), 0o600))
	h, catalogue, done = migrated(t, dir)
	require.Equal(t, before, catalogue.State(), "reading changes nothing")
	require.NoError(t, h.edit(t.Context(), "other", []routekey.Key{routekey.MustParse("/other")}, func(own *record) error {
		own.Description = "changed"
		return nil
	}))
	_, err = h.publish(t.Context(), "prog", routekey.MustParse("/prog"), func(registry.Service) error { return nil })
	require.NoError(t, err, "a version of code without an archive")
	done()

	h, catalogue, done = migrated(t, dir)
	defer done()
	require.Equal(t, "changed", h.book.get("other").Description)
	own := h.book.get("prog")
	require.Equal(t, 3, own.LastVersion)
	require.Equal(t, want["prog"].Aliases, own.Aliases)
	require.Contains(t, catalogue.State().Services, routekey.MustParse("/prog~3"))
}
