package law

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	linkPattern    = regexp.MustCompile(`\]\(([^)\s]+)\)|(?m:^\[[^\]]+\]: (\S+)$)`) // [text](target), and definitions of [text][name]
	headingPattern = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	fencePattern   = regexp.MustCompile("(?ms)^```.*?^```")
	// notInAnchors are the characters that GitHub removes from a heading's anchor.
	notInAnchors = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// links returns the targets of a page's links within the repository.
func links(page string) (targets []string) {
	for _, match := range linkPattern.FindAllStringSubmatch(fencePattern.ReplaceAllString(page, ""), -1) {
		if target := match[1] + match[2]; !strings.Contains(target, "://") {
			targets = append(targets, target)
		}
	}
	return targets
}

// anchors returns the anchors of a page's headings.
func anchors(page string) (names []string) {
	for _, match := range headingPattern.FindAllStringSubmatch(fencePattern.ReplaceAllString(page, ""), -1) {
		name := notInAnchors.ReplaceAllString(strings.ToLower(match[1]), "")
		names = append(names, strings.ReplaceAll(name, " ", "-"))
	}
	return names
}

// broken returns why a link from a page is broken; "" if it is not.
func broken(from, target string) string {
	file, anchor, _ := strings.Cut(target, "#")
	to := from
	if file != "" {
		to = filepath.Join(filepath.Dir(from), filepath.FromSlash(file))
	}
	info, err := os.Stat(to)
	switch {
	case err != nil:
		return "there is no such file"
	case anchor == "" || info.IsDir():
		return ""
	}
	page, err := os.ReadFile(to)
	if err != nil {
		return err.Error()
	}
	if !slices.Contains(anchors(string(page)), anchor) {
		return "the page has no such heading"
	}
	return ""
}

func TestLinksLeadSomewhere(t *testing.T) {
	pages := 0
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(file) != ".md":
			return nil
		}
		pages++
		page, err := os.ReadFile(file)
		for _, target := range links(string(page)) {
			if reason := broken(file, target); reason != "" {
				t.Errorf("%s: the link to %s is broken: %s", file, target, reason)
			}
		}
		return err
	})
	require.NoError(t, err)
	require.Greater(t, pages, 10)
}

func TestLinksAndAnchors(t *testing.T) {
	page := "# Why `one` place?\n\n[a](b.md#c) [far](https://example.com/x) ![d](e.png)\n[f]: g.md\n```\n# no heading\n[no](link)\n```\n## A b_c-d (e), ö\n"
	require.Equal(t, []string{"b.md#c", "e.png", "g.md"}, links(page))
	require.Equal(t, []string{"why-one-place", "a-b_c-d-e-ö"}, anchors(page))
	dir := t.TempDir()
	from := filepath.Join(dir, "a.md")
	require.NoError(t, os.WriteFile(from, []byte(page), 0o600))
	require.Empty(t, broken(from, "#why-one-place"))
	require.Empty(t, broken(from, "a.md#a-b_c-d-e-ö"))
	require.NotEmpty(t, broken(from, "#elsewhere"))
	require.NotEmpty(t, broken(from, "b.md"))
}
