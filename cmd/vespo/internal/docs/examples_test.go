package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/testdata/guests"
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

// sized matches a row of the table with a size in MB.
var sized = regexp.MustCompile(`(?m)^\| \[([a-z0-9-]+)\]\(\.\./\.\./guest-sdk/examples/.* ([0-9.]+) MB \|$`)

// TestSizesOfExamples checks the sizes of the table, to a tenth: a reference in the SDK can link half of net/http into
// every guest.
func TestSizesOfExamples(t *testing.T) {
	table, err := os.ReadFile(filepath.Join(root, "docs", "guests", "examples.md"))
	require.NoError(t, err)
	rows := sized.FindAllStringSubmatch(string(table), -1)
	require.Greater(t, len(rows), 15)
	for _, row := range rows {
		want, err := strconv.ParseFloat(row[2], 64)
		require.NoError(t, err)
		require.InEpsilon(t, want, float64(len(guests.SDK(t, row[1])))/1e6, 0.1, row[1])
	}
}

// shownToken matches a token that a page or a recipe shows.
var shownToken = regexp.MustCompile(`VESPO_ADMIN_TOKEN=([a-z][a-z-]*)`)

// TestTokensOfExamples checks that a server which other machines reach accepts the tokens: these commands are not run.
func TestTokensOfExamples(t *testing.T) {
	for _, name := range append(markdown(t), "release/Dockerfile", "release/vespo.toml") {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		require.NoError(t, err)
		for _, found := range shownToken.FindAllStringSubmatch(string(text), -1) {
			require.GreaterOrEqual(t, len(found[1]), 16, "%s: %s", name, found[0])
		}
	}
}
