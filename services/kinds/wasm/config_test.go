package wasm_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/schema"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

func TestGetConfigCarriesAnyBytes(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 4})
	config := guests.Wat(t, "config")
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for _, text := range []string{"secret", `{"directives": ["SecRuleEngine On", "Include @crs-setup"]}`, string(every), strings.Repeat("\x00", 64000)} {
		s.add("/a", config, servicetest.WithConfigText(text))
		require.Equal(t, text, s.get("/a").Body)
		s.add("/behind", guests.Wat(t, "hello"), servicetest.WithMiddleware(nil, config), servicetest.WithMiddlewareText(text))
		require.Equal(t, text, s.get("/behind").Body, "as middleware")
	}
	s.add("/a", config, servicetest.WithConfig(map[string]string{"b": "2", "a": "<1>"}))
	require.JSONEq(t, `{"a":"<1>","b":"2"}`, s.get("/a").Body, "settings by name are an object")
	s.add("/a", config)
	require.Empty(t, s.get("/a").Body)
}

// A text that no module reads would have no effect.
func TestTextsThatAreNotRead(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 4})
	text := servicetest.WithConfigText("hunter2")
	for name, want := range map[string]string{
		"cat":   "config is one text, and a module of cgi reads settings by name: give NAME=VALUE",
		"hello": "config is one text, and the module never reads it: it does not import get_config",
	} {
		require.Equal(t, []string{want}, violationsOf(t, s.refused("/x", guests.Wat(t, name), text)))
	}
	s.Deploy(module("/x", guests.Wat(t, "hello"), servicetest.WithMiddleware(nil, guests.Wat(t, "config"), layerModule(passOnCode, nothingCode)),
		servicetest.WithMiddlewareText("hunter2")))
	require.Equal(t, "hunter2", s.get("/x").Body, "one module of a chain may read it, and another not")
	err := s.refused("/y", guests.Wat(t, "config"), servicetest.WithConfigText(strings.Repeat("x", schema.MaxTextBytes+1)))
	require.Equal(t, []string{"config has 262145 bytes: at most 262144 are allowed"}, violationsOf(t, err))
}
