package wasm_test

import (
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

func TestGuestOfWASI2(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 4, SlotBytes: 1 << 20})
	d := s.add("/a", guests.Wat(t, "p2echo"))
	require.Equal(t, "wasi-http", d.Status().ABI)
	require.Equal(t, wasm.IsolationSnapshot, d.Status().Isolation)
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for range 50 {
				a := s.get("/a")
				if a.StatusCode != 200 || a.Body != "GET" || a.Header.Get("X-Count") != "1" {
					t.Errorf("%d %q, the guest has counted %s requests", a.StatusCode, a.Body, a.Header.Get("X-Count"))
				}
			}
		})
	}
	clients.Wait()
	long := strings.Repeat("0123456789", 30_000)
	require.Equal(t, long, s.do("POST", "/a", long).Body)
	require.Equal(t, http.StatusOK, s.do("HEAD", "/a", "").StatusCode)
}

// The counter of a library is in its data, which an earlier request must not have changed.
func TestGuestOfDynamicLibraries(t *testing.T) {
	bin, err := os.ReadFile("../../../runtime/internal/component/testdata/accepted/dynamic.wasm")
	require.NoError(t, err)
	s := newServer(t, wasm.Config{Slots: 2, SlotBytes: 1 << 20})
	d := s.add("/a", bin)
	require.Equal(t, "wasi-http", d.Status().ABI)
	require.Equal(t, wasm.IsolationSnapshot, d.Status().Isolation)
	for range 10 {
		a := s.get("/a")
		require.Equal(t, http.StatusOK, a.StatusCode)
		require.Equal(t, "1", a.Header.Get("X-Count"))
	}
}

// TestGuestThatGoesOn checks that the client has the whole response while the guest still works, also if it disconnects then.
func TestGuestThatGoesOn(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 2, SlotBytes: 1 << 20})
	d := s.add("/a", guests.Wat(t, "p2linger"), servicetest.WithTimeout(time.Second))
	for range 3 {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Get(s.URL + "/a")
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, "first last", string(body))
	}
	require.Eventually(t, func() bool { return strings.Count(s.Log.String(), "line=late") == 3 }, 10*time.Second, time.Millisecond)

	// The deadline of the request ends the guest. A response that was not complete would be broken off.
	require.Equal(t, "first last", s.do("POST", "/a", "").Body)
	require.Eventually(t, func() bool { return strings.Contains(s.Log.String(), "a guest failed after its response was complete") }, 10*time.Second, time.Millisecond)
	require.Contains(t, s.Log.String(), "outcome=deadline")
	require.Eventually(t, func() bool { return d.Status().InFlight == 0 }, 10*time.Second, time.Millisecond)
}

// TestGuestThatGoesOnKeepsItsPlace checks that it counts for the admission, and that a new version waits for it.
func TestGuestThatGoesOnKeepsItsPlace(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 1, SlotBytes: 1 << 20})
	s.add("/a", guests.Wat(t, "p2linger"), servicetest.WithTimeout(time.Second))
	require.Equal(t, "first last", s.do("POST", "/a", "").Body)
	require.Equal(t, "first last", s.get("/a").Body, "the next request waits for the place")
	require.Contains(t, s.Log.String(), "a guest failed after its response was complete")
	require.Equal(t, "first last", s.do("POST", "/a", "").Body)
	s.add("/a", guests.Wat(t, "p2echo")) // waits until the version before is closed
	require.Equal(t, 2, strings.Count(s.Log.String(), "outcome=deadline"), "it was not cut off")
}
