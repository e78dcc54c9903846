package docs

import (
	"flag"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "record docs/demo.svg anew")

// recorded are the commands of docs/demo.svg. The server of "vespo serve --demo" runs in another terminal.
var recorded = []string{
	"curl http://127.0.0.1:8080/hello",
	"curl http://127.0.0.1:8080/oom/1000",
	"curl http://127.0.0.1:8080/hello",
	`for i in 1 2 3; do curl -so /dev/null -w '%{http_code} ' http://127.0.0.1:8080/oom/1000; curl http://127.0.0.1:8080/hello; done`,
	"vespo list",
}

// Sizes of the picture, in pixels and characters.
const (
	recordingColumns = 92
	charWidth        = 9 // more than fonts of 14 pixels need
	lineHeight       = 19
	margin           = 16
)

// TestRecording runs the commands of docs/demo.svg and compares the output with the picture, which it makes anew by -update.
func TestRecording(t *testing.T) {
	needTools(t)
	if reason := canIsolate(); reason != nil {
		t.Skip("the recording needs a network of its own: ", reason)
	}
	bin := t.TempDir()
	buildVespo(t, bin)
	s := newSession(t, t.TempDir(), environment(t, bin, t.TempDir()), true)
	require.NoError(t, s.run("vespo serve --demo\n"))
	var text strings.Builder
	for _, command := range recorded {
		out, code, err := s.one(command)
		require.NoError(t, err)
		require.Zero(t, code, out)
		fmt.Fprintf(&text, "$ %s\n%s\n", command, strings.TrimRight(out, "\n"))
	}
	path := filepath.Join(root, "docs", "demo.svg")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(drawing(text.String())), 0o644))
	}
	picture, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, same(shownIn(string(picture)), text.String()), "run: go test ./cmd/vespo/internal/docs -run Recording -update\nthe output is\n%s", text.String())
}

// drawing returns a picture of a terminal with a text. A line appears after the one before it.
func drawing(text string) string {
	type row struct {
		text, class string
		second      float64
	}
	var rows []row
	second := -1.2 // the first line appears at once
	for line := range strings.Lines(text) {
		line, class := strings.TrimSuffix(line, "\n"), ""
		switch {
		case strings.HasPrefix(line, "$ "):
			class = "c"
			second += 1
		case strings.HasPrefix(line, `{"type"`), strings.HasPrefix(line, "500 "):
			class = "e"
		}
		second += 0.2
		for rest := []rune(line); ; {
			n := min(len(rest), recordingColumns)
			rows = append(rows, row{string(rest[:n]), class, second})
			if rest = rest[n:]; len(rest) == 0 {
				break
			}
		}
	}
	width, height := recordingColumns*charWidth+2*margin, len(rows)*lineHeight+2*margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="A terminal: one request that needs too much memory fails, and the others are answered">
<style>
text { font: 14px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #d4d4d4; white-space: pre; animation: appear 0.01s both }
.c { fill: #7ec699 } .e { fill: #f08d49 }
@keyframes appear { from { opacity: 0 } to { opacity: 1 } }
@media (prefers-reduced-motion: reduce) { text { animation: none } }
</style>
<rect width="%d" height="%d" rx="8" fill="#1e1e1e"/>
`, width, height, width, height, width, height)
	for i, r := range rows {
		fmt.Fprintf(&b, `<text x="%d" y="%d" class="%s" style="animation-delay: %.1fs" xml:space="preserve">%s</text>`+"\n",
			margin, margin+14+i*lineHeight, r.class, r.second, html.EscapeString(r.text))
	}
	return b.String() + "</svg>\n"
}

// shownIn returns the text of a picture. Rows that fill the width go on in the next one.
func shownIn(picture string) string {
	var text strings.Builder
	for line := range strings.Lines(picture) {
		row, ok := strings.CutSuffix(strings.TrimSpace(line), "</text>")
		if !ok {
			continue
		}
		shown := html.UnescapeString(row[strings.LastIndex(row, ">")+1:])
		text.WriteString(shown)
		if len([]rune(shown)) < recordingColumns {
			text.WriteString("\n")
		}
	}
	return text.String()
}
