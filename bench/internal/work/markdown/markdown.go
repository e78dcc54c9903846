// Package markdown renders a Markdown document with goldmark.
package markdown

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/yuin/goldmark"
)

const limitBytes = 256 << 10

// Serve renders the document in the body.
func Serve(w http.ResponseWriter, r *http.Request) {
	document, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limitBytes))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var b bytes.Buffer
	if err := goldmark.Convert(document, &b); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = b.WriteTo(w) // the server handles write errors
}

// Body returns a document of about 4 KiB.
func Body() string {
	var b strings.Builder
	for i := range 12 {
		fmt.Fprintf(&b, "## Section %d\n\nA paragraph with *emphasis*, **strong** words, `code` and a [link](https://example.com/%d).\n"+
			"It has a second line.\n\n1. the first point\n2. the second, with `more code`\n   - a point within\n\n> A quotation.\n\n"+
			"```go\nfunc f%d() int { return %d }\n```\n\n", i, i, i, i)
	}
	return b.String()
}
