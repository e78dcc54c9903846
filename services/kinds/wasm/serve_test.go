package wasm

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/testdata/guests"
)

func TestHello(t *testing.T) {
	s := newServer(t, Config{})
	s.add("/hello", guests.Wat(t, "hello"), registry.Options{})
	for range 3 {
		a := s.get("/hello")
		require.Equal(t, 200, a.StatusCode, a.body)
		require.Equal(t, "hello from vespo\n", a.body)
		require.Equal(t, "text/plain", a.Header.Get("Content-Type"))
	}
	require.EqualValues(t, "warm", s.lastRecord(3).Start)
}

func TestGuestsOfTheToolchain(t *testing.T) {
	s := newServer(t, Config{})
	for _, name := range []string{"gohello", "gonethttp", "gocgi", "gocmd", "headers"} {
		t.Run(name, func(t *testing.T) {
			s.add("/"+name, guests.Go(t, name), registry.Options{})
			for range 3 {
				a := s.get("/" + name + "/hello/world?x=1")
				require.Equal(t, 200, a.StatusCode, a.body)
				t.Log(a.body)
			}
		})
	}
	t.Log(s.log)
	for _, r := range s.records {
		t.Logf("%+v", r)
	}
}
