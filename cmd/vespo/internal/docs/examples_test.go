package docs

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExamplesAreListed checks that every example has a README that shows what it does, and is in the table of the documentation.
func TestExamplesAreListed(t *testing.T) {
	table, err := os.ReadFile(filepath.Join(root, "docs", "guests", "examples.md"))
	require.NoError(t, err)
	count := 0
	for _, parent := range []string{"guest-sdk/examples", "examples"} {
		entries, err := os.ReadDir(filepath.Join(root, filepath.FromSlash(parent)))
		require.NoError(t, err)
		for _, e := range entries {
			if !e.IsDir() {
				continue
			}
			count++
			text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(parent), e.Name(), "README.md"))
			require.NoError(t, err)
			require.Contains(t, string(text), "\n```console\n", "%s/%s shows nothing", parent, e.Name())
			require.Contains(t, string(table), "](../../"+parent+"/"+e.Name()+")")
		}
	}
	require.Greater(t, count, 15)
}
