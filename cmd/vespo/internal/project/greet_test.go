package project

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnswerThatIsShown(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   []string
	}{
		"text":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello\n") }, []string{"hello"}},
		"nothing":  {func(http.ResponseWriter, *http.Request) {}, []string{""}},
		"lines":    {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "1\r\n\t2\n3\n4\n") }, []string{"1", "    2", "3", "..."}},
		"terminal": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "\x1b[2Jx") }, []string{"\ufffd[2Jx"}},
		"wide":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("ö", 9999)) }, []string{strings.Repeat("ö", 73) + "..."}},
		"status":   {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "none", http.StatusNotFound) }, []string{"HTTP 404 Not Found", "none"}},
		"redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) }, []string{"HTTP 302 Found /x", `<a href="/x">Found</a>.`}},
		"picture": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "image/png")
			_, _ = w.Write(make([]byte, 2048))
		}, []string{"(image/png, 2.0 KiB)"}},
		"aborted": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			_, _ = io.WriteString(w, "x")
		}, []string{"the answer broke off: unexpected EOF"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(c.answer)
			defer s.Close()
			require.Equal(t, c.want, ask(t.Context(), s.URL))
		})
	}
}

func TestCommandsAreShownWithTheirOutput(t *testing.T) {
	var out bytes.Buffer
	e := &echo{w: &out}
	for _, text := range []string{"$ silent\n", "$ loud\n", "warning\n", "more\n", "$ failing\n"} {
		_, err := io.WriteString(e, text)
		require.NoError(t, err)
	}
	require.Equal(t, "$ loud\nwarning\nmore\n", out.String())
	e.flush()
	e.flush()
	require.Equal(t, "$ loud\nwarning\nmore\n$ failing\n", out.String())
}
