package function_test

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// archived returns the spec of a function whose code is an archive with one file.
func archived(t *testing.T, key, name, text string) services.Spec {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create(name)
	require.NoError(t, err)
	_, err = f.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	s := spec(key, function.Document{Package: registry.DigestOf(b.Bytes()).Hex()})
	s.Blobs = []services.Blob{{Field: function.FieldPackage, Content: b.Bytes()}}
	return s
}

// TestArchive deploys archives, which are unpacked when they are needed and deleted when no version needs them.
func TestArchive(t *testing.T) {
	cfg := allowed(io.Discard)
	cfg.Packages = filepath.Join(t.TempDir(), "not", "made", "yet")
	f := newFront(t, cfg)
	unpacked := func() (names []string) {
		entries, err := os.ReadDir(cfg.Packages)
		require.NoError(t, err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	first := archived(t, "/fn", function.Bootstrap, "#!/bin/sh\nexec '"+self(t, 0, 0).Exec+"'\n")
	f.Deploy(first)
	digest := f.digestOf(t, routekey.MustParse("/fn"))
	require.Equal(t, filepath.Join(cfg.Packages, digest), environment(f.Send("GET", "/fn/env", "").Body)["LAMBDA_TASK_ROOT"])

	f.Deploy(archived(t, "/fn", function.Bootstrap, "#!/bin/sh\nexec sleep 1000\n"))
	require.NoError(t, f.kind.Retain(f.Registry.State()))
	require.Len(t, unpacked(), 2, "the history refers to the first")
	require.NoError(t, os.RemoveAll(filepath.Join(cfg.Packages, digest)))
	_, err := f.Rollback(t.Context(), routekey.MustParse("/fn"))
	require.NoError(t, err)
	require.Contains(t, unpacked(), digest, "unpacked again from the blob")
	require.Equal(t, "200 OK", f.Send("GET", "/fn/env", "").Status)

	f.Withdraw("/fn")
	require.NoError(t, f.kind.Retain(f.Registry.State()))
	require.Eventually(t, func() bool { return len(unpacked()) == 0 }, servicetest.HangTimeout, time.Millisecond, "once it is closed")
}

func TestArchiveIsRefused(t *testing.T) {
	cfg := allowed(io.Discard)
	cfg.Packages = t.TempDir()
	good := archived(t, "/fn", function.Bootstrap, "#!/bin/sh\n")
	require.NoError(t, function.New(cfg).Validate(good))
	other := archived(t, "/fn", function.Bootstrap, "#!/bin/sh\n#\n")
	other.Blobs = good.Blobs
	noZip := archived(t, "/fn", function.Bootstrap, "")
	noZip.Blobs[0].Content = []byte("no archive")
	noZip.Manifest = function.Document{Package: registry.DigestOf(noZip.Blobs[0].Content).Hex()}.Encode()
	forbidden, nowhere := cfg, cfg
	forbidden.AllowExec, nowhere.Packages = false, ""
	for want, c := range map[string]struct {
		cfg  function.Config
		spec services.Spec
	}{
		"not the digest":     {cfg, other},
		"cannot be unzipped": {cfg, noZip},
		"no program called":  {cfg, archived(t, "/fn", "main", "#!/bin/sh\n")},
		"CR LF":              {cfg, archived(t, "/fn", function.Bootstrap, "#!/bin/sh\r\n")},
		"no file below":      {cfg, archived(t, "/fn", "../outside", "")},
		"--allow-exec":       {forbidden, good},
		"keeps no packages":  {nowhere, good},
	} {
		k := function.New(c.cfg)
		var p *problem.Problem
		require.ErrorAs(t, k.Validate(c.spec), &p, want)
		require.Contains(t, strings.Join(problem.Texts(p.Violations), " "), want)
		_, err := k.Prepare(t.Context(), c.spec)
		require.Error(t, err, want)
	}
	entries, err := os.ReadDir(cfg.Packages)
	require.NoError(t, err)
	require.Empty(t, entries)
}

// digestOf returns the package of the current version.
func (f *front) digestOf(t *testing.T, key routekey.Key) string {
	t.Helper()
	e, err := f.Inspect(key)
	require.NoError(t, err)
	d, err := function.Decode(e.Service.Current.Manifest)
	require.NoError(t, err)
	return d.Package
}
