package filestore

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/durable/crashfs"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

func TestRecordsAreKept(t *testing.T) {
	want := (&registry.State{Services: map[routekey.Key]registry.Service{}}).PutRecord("lambda/<&>", registry.Record{
		Kind:     "lambda",
		Manifest: `{"n":9007199254740993,"o":{"key":"\u0000 é <&>"},"f":0.25}`,
		Blobs:    []registry.Digest{registry.DigestOf(nil), registry.DigestOf([]byte("a"))},
	}).PutRecord("lambda/empty", registry.Record{Kind: "lambda", Manifest: `{}`})
	text, err := encodeManifest(want)
	require.NoError(t, err)
	got, _, err := decodeManifest(text, noBlob)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// TestRecordsOfVersion1 reads the file that the Lambda API had beside a manifest of version 1.
func TestRecordsOfVersion1(t *testing.T) {
	open := func(t *testing.T, functions string) (registry.Loaded, error) {
		dir := t.TempDir()
		manifest, err := os.ReadFile(filepath.Join("testdata", "manifest.v1.json"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, manifestName), manifest, 0o600))
		require.NoError(t, os.Mkdir(filepath.Join(dir, lambdaDir), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, lambdaRecordsV1), []byte(functions), 0o600))
		store, err := Open(dir)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, store.Close()) })
		loaded, err := store.Load(t.Context())
		kept, readErr := os.ReadFile(filepath.Join(dir, lambdaRecordsV1))
		require.NoError(t, readErr)
		require.Equal(t, functions, string(kept))
		return loaded, err
	}
	loaded, err := open(t, "{\n \"fn\": {\"role\": \"r\", \"last_version\": 2},\n \"a\": {}\n}")
	require.NoError(t, err)
	require.Equal(t, map[string]registry.Record{
		"lambda/fn": {Kind: "lambda", Manifest: `{"last_version":2,"role":"r"}`},
		"lambda/a":  {Kind: "lambda", Manifest: `{}`},
	}, loaded.State.Records)
	require.NotEmpty(t, loaded.State.Services)

	loaded, err = open(t, "{}")
	require.NoError(t, err)
	require.Nil(t, loaded.State.Records)
	for _, damaged := range []string{"", "{", "[]", `{"fn":[]}`, `{"fn":null}`} {
		_, err := open(t, damaged)
		require.ErrorContains(t, err, lambdaRecordsV1, "%q", damaged)
	}
}

// seeded returns a file system with files, which are durable.
func seeded(t *testing.T, files map[string][]byte) *crashfs.FS {
	t.Helper()
	fsys := crashfs.New()
	for name, data := range files {
		require.NoError(t, fsys.MkdirAll(path.Dir(name)))
		f, err := fsys.Create(name, durable.FileMode)
		require.NoError(t, err)
		_, err = f.Write(data)
		require.NoError(t, err)
		require.NoError(t, errors.Join(f.Sync(), f.Close(), fsys.SyncDir(path.Dir(name))))
	}
	return fsys
}

// TestCrashDuringMigration reads a directory of version 1 with a crash or a fault at every operation. Nothing is lost
// then, and no blob is collected that a manifest of version 1 on disk still needs.
func TestCrashDuringMigration(t *testing.T) {
	document := []byte(`{"directory":"www"}`)
	catalogue := `{"generation":1,"services":[{"prefix":"/a","current":{"kind":"static","digest":"` + string(registry.DigestOf(document)) +
		`","size_bytes":3,"generation":1,"deployed":"2026-01-01T00:00:00Z"}}]}`
	seed := func() *crashfs.FS {
		return seeded(t, map[string][]byte{
			manifestName:                          []byte(sealed(catalogue)),
			lambdaRecordsV1:                       []byte(`{"fn":{"role":"r"}}`),
			blobName(registry.DigestOf(document)): document,
		})
	}
	load := func(fsys *crashfs.FS) (*registry.State, error) {
		store, err := OpenFS(fsys, "memory")
		if err != nil {
			return nil, err
		}
		reg, _, err := registry.Open(t.Context(), store, store.Blobs())
		if err != nil {
			return nil, err
		}
		_, _ = reg.CollectGarbage(t.Context()) // fails after the crash
		return reg.State(), nil
	}
	fsys := seed()
	start := fsys.Count()
	want, err := load(fsys)
	require.NoError(t, err)
	require.Equal(t, registry.Manifest(`{"static":"www"}`), want.Services[routekey.MustParse("/a")].Current.Manifest)
	require.Contains(t, want.Records, "lambda/fn")
	operations := fsys.Count() - start
	for n := range operations {
		for name, fault := range map[string]func(crashfs.Operation) crashfs.Fault{
			"crash": crashfs.CrashAt(start + n),
			"fault": func(op crashfs.Operation) crashfs.Fault {
				return crashfs.Fault{Err: map[bool]error{true: syscall.EIO}[op.N == start+n], Effect: true}
			},
		} {
			fsys := seed()
			fsys.Inject(fault)
			_, _ = load(fsys)
			for _, found := range fsys.Aftermaths(8) {
				got, err := load(found)
				require.NoError(t, err, "%s at operation %d", name, n)
				require.Equal(t, want, got, "%s at operation %d", name, n)
			}
		}
	}
}
