package remote

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/services/schema"
)

// The server takes a JSON body in which texts are at most twice as long as they are.
func TestTextsAreNoLongerInARequestThanTheServerTakes(t *testing.T) {
	var sent string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sent = string(body)
	}))
	t.Cleanup(server.Close)
	client, err := NewClient(server.URL, "")
	require.NoError(t, err)
	text := strings.Repeat("<&>", 100)
	fields := map[string]any{"config": schema.Settings{Text: text}, "allow": []string{text}}
	_, err = (&AddCmd{}).addJSON(t.Context(), client, stdio.Streams{Out: io.Discard, Err: io.Discard}, fields, work{})
	require.NoError(t, err)
	require.JSONEq(t, `{"config":"`+text+`","allow":["`+text+`"]}`, sent)
	require.Less(t, len(sent), 2*len(text)+100)
}
