package program

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

func TestListDuringTheStart(t *testing.T) {
	answer := `{"services":[{"prefix":"/a","state":"starting","kind":"wasm"}],"starting":{"done":12,"total":30}}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
	defer server.Close()
	list := func() string {
		var out bytes.Buffer
		require.Equal(t, ExitOK, run(t.Context(), []string{"list", "--server", server.URL}, stdio.Streams{Out: &out, Err: io.Discard}))
		return out.String()
	}
	require.Regexp(t, `^starting, 12 of 30\nPREFIX +STATE .*\n/a +starting `, list())
	answer = `{"services":[],"starting":{"done":0,"total":1}}`
	require.Equal(t, "starting, 0 of 1\n", list())
}

func TestHelpOfDevFitsAScreen(t *testing.T) {
	var out bytes.Buffer
	require.Equal(t, ExitOK, run(t.Context(), []string{"dev", "--help"}, stdio.Streams{Out: &out, Err: io.Discard}))
	lines := strings.Split(out.String(), "\n")
	require.LessOrEqual(t, len(lines), 24)
	for _, line := range lines {
		require.LessOrEqual(t, len(line), 80, line)
	}
}
