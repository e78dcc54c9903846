package forwarded

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWire checks that another host gets every fact about a client.
func TestWire(t *testing.T) {
	c := Client{
		Peer:    "10.0.0.1:1000",
		Remote:  "192.0.2.1:0",
		Scheme:  "https",
		Host:    "www.example.com",
		Port:    "443",
		Prefix:  "/outer",
		ID:      "a-1",
		Trusted: true,
		chain:   "192.0.2.1",
		via:     "10.0.0.1",
		proto:   true,
		host:    true,
	}
	for i := range reflect.TypeFor[Client]().NumField() {
		require.False(t, reflect.ValueOf(c).Field(i).IsZero(), "the test lacks the field %d", i)
	}
	text, err := json.Marshal(c.Wire(c.ID))
	require.NoError(t, err)
	var w Wire
	require.NoError(t, json.Unmarshal(text, &w))
	require.Equal(t, c, w.Client())
	w.ID = "a\n1"
	require.Empty(t, w.Client().ID)
}
