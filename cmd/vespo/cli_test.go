package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
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
		require.Equal(t, exitOK, run(t.Context(), []string{"list", "--server", server.URL}, stdio.Streams{Out: &out, Err: io.Discard}))
		return out.String()
	}
	require.Regexp(t, `^starting, 12 of 30\nPREFIX +STATE .*\n/a +starting `, list())
	answer = `{"services":[],"starting":{"done":0,"total":1}}`
	require.Equal(t, "starting, 0 of 1\n", list())
}
