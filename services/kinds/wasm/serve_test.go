package wasm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/testdata/guests"
)

func TestHello(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/hello", guests.Wat(t, "hello"))
	for range 3 {
		a := s.get("/hello")
		require.Equal(t, 200, a.StatusCode, a.Body)
		require.Equal(t, "hello from vespo\n", a.Body)
		require.Equal(t, "text/plain", a.Header.Get("Content-Type"))
	}
	require.EqualValues(t, "warm", s.Records.Nth(3).Start)
}

func TestGuestsOfTheToolchain(t *testing.T) {
	s := newServer(t, wasm.Config{})
	for _, name := range []string{"gohello", "gonethttp", "gocgi", "gocmd", "headers"} {
		t.Run(name, func(t *testing.T) {
			s.add("/"+name, guests.Go(t, name))
			for range 3 {
				a := s.get("/" + name + "/hello/world?x=1")
				require.Equal(t, 200, a.StatusCode, a.Body)
				t.Log(a.Body)
			}
		})
	}
	t.Log(s.Log)
}
