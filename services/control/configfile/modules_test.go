package configfile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/servicetest/allkinds"
)

// contentOf reads the content of a blob.
func contentOf(t *testing.T, b services.Blob) string {
	t.Helper()
	require.Nil(t, b.Content, "modules are not kept in memory")
	content, err := b.Read()
	require.NoError(t, err)
	require.Equal(t, registry.DigestOf(content), b.Digest)
	require.EqualValues(t, len(content), b.Size())
	return string(content)
}

// TestModulesThatChangeMeanwhile refuses a module that is not the one that was described.
func TestModulesThatChangeMeanwhile(t *testing.T) {
	dir := written(t, map[string]string{
		"vespo.toml": "[[service]]\nprefix = \"a\"\nmodule = \"a.wasm\"\n[[service]]\nprefix = \"b\"\nmodule = \"a.wasm\"\n[[service]]\nprefix = \"c\"\nmodule = \"c.wasm\"\n",
		"a.wasm":     "one",
		"c.wasm":     "other",
	})
	f, err := Source{Path: filepath.Join(dir, "vespo.toml")}.Read(allkinds.Describe(), maxModule)
	require.NoError(t, err)
	specs := f.Specs()
	require.Equal(t, "one", contentOf(t, specs[0].Blobs[0]))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.wasm"), []byte("two"), 0o600))
	require.Equal(t, "one", contentOf(t, specs[1].Blobs[0]), "it is the one that was read last")
	require.Equal(t, "other", contentOf(t, specs[2].Blobs[0]))
	_, err = specs[0].Blobs[0].Read()
	require.ErrorContains(t, err, "a.wasm was written to while the configuration was applied")
	require.NoError(t, os.Remove(filepath.Join(dir, "c.wasm")))
	require.Equal(t, "other", contentOf(t, specs[2].Blobs[0]))
	f, err = Source{Path: filepath.Join(dir, "vespo.toml")}.Read(allkinds.Describe(), maxModule)
	require.ErrorContains(t, err, "c.wasm: no such file or directory")
	require.Len(t, f.Specs(), 3)
}
