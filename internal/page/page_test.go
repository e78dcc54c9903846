package page

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWanted(t *testing.T) {
	const (
		chrome  = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
		firefox = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
		axios   = "application/json, text/plain, */*"
	)
	for want, all := range map[bool][][]string{
		true: {
			{chrome}, {firefox}, {"text/html"}, {"TEXT/HTML"}, {"text/*"}, {"text/html;charset=utf-8"}, {"text/html", "*/*;q=0.1"},
			{"application/json;q=0.9, text/html"}, {"*/*;q=0.5, text/html;q=0.501"}, {"application/*;q=0.1, text/html;q=0.2"},
			{`text/html;level="a,b;q=0"`}, {"text/html ; q=1.000 , */*;q=0"}, {"text/html;q=2, text/*;q=1"},
		},
		false: {
			nil, {""}, {"*/*"}, {axios}, {"application/json"}, {"application/problem+json, text/html;q=0.9"}, {"text/html, application/json"},
			{"text/html;q=0"}, {"text/html;q=0, */*"}, {"text/html;q=0.5, */*"}, {"text/plain"}, {"html"}, {"application/json;q=0, */*"}, {"text/html;q=x"}, {"text/html;q=1.001"},
			{"text/html;q=0.5, application/problem+json"}, {"text/html;q=0.1234"}, {"text/html;q=.5"}, {"text/html;q=0, text/*"}, {";,;,\"", "\\"},
		},
	} {
		for _, accept := range all {
			require.Equal(t, want, Wanted(http.Header{"Accept": accept}), "%q", accept)
		}
	}
	require.False(t, Wanted(http.Header{}))
	require.False(t, Wanted(nil))
}

// FuzzWanted checks that any header is read within its bounds, and that a client which refuses pages gets none.
func FuzzWanted(f *testing.F) {
	f.Add("text/html;q=0.1", `*/*;a="\`)
	f.Fuzz(func(t *testing.T, one, two string) {
		Wanted(http.Header{"Accept": {one, two}})
		if !strings.Contains(one, `"`) {
			require.False(t, Wanted(http.Header{"Accept": {one + ", text/html;q=0"}}) && !strings.Contains(strings.ToLower(one), "text/html"))
		}
	})
}

func TestPolicyPermitsTheStyleAlone(t *testing.T) {
	digest := sha256.Sum256([]byte(Style))
	require.Equal(t, "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(digest[:])+"'; base-uri 'none'; form-action 'none'", Policy)
	require.NotContains(t, Style, "url(")
	require.NotContains(t, Style, "<")
	require.Contains(t, Style, "prefers-color-scheme:dark")
}

// FuzzPage checks that text stays text: the elements of a page do not depend on it.
func FuzzPage(f *testing.F) {
	f.Add("title", "text", "item", "id")
	f.Add("</title><script>", "<img src=x onerror=1>", "</li>&lt;", `"><b>`)
	f.Fuzz(func(t *testing.T, title, text, item, id string) {
		p := Page{Code: 404, Title: "t" + title, Text: "p" + text, List: []string{"l" + item}, Note: "n" + text, RequestID: "i" + id}
		require.Equal(t, "html head meta meta meta title style body main p h1 p ul li p p code", strings.Join(tags(t, p.Bytes()), " "))
	})
}

// tags returns the names of all elements of a page.
func tags(t *testing.T, page []byte) (names []string) {
	t.Helper()
	for _, tag := range regexp.MustCompile(`<([^/!]\w*)`).FindAllSubmatch(page, -1) {
		names = append(names, string(tag[1]))
	}
	return names
}

func TestEmptyPartsAreLeftOut(t *testing.T) {
	p := Page{Code: 500, Title: "Trap"}
	require.Equal(t, "html head meta meta meta title style body main p h1", strings.Join(tags(t, p.Bytes()), " "))
}
