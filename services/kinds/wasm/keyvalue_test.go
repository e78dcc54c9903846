package wasm_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/kv/boltstore"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// newStores returns stores that are closed after the server.
func newStores(t *testing.T) *boltstore.Stores {
	t.Helper()
	stores, err := boltstore.Open(boltstore.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stores.Close()) })
	return stores
}

// TestStoresAreShared checks that services that name a store share it, under the names that they use, and others do not.
func TestStoresAreShared(t *testing.T) {
	s := newServer(t, wasm.Config{KeyValue: newStores(t)})
	m := guests.SDK(t, "key-value")
	s.add("/a", m, servicetest.WithKV("notes"))
	s.add("/b", m, servicetest.WithKV("notes=notes", "unused"))
	s.add("/c", m, servicetest.WithKV("notes=other"))
	s.add("/d", m)
	s.add("/e", m, servicetest.WithKV("others"))
	require.Equal(t, 204, s.do("PUT", "/a/notes/x", "text").StatusCode)
	require.Equal(t, "text", s.get("/b/notes/x").Body)
	require.Equal(t, "x {\"bytes\":4}\n", s.get("/b/notes").Body)
	require.Equal(t, 404, s.get("/c/notes/x").StatusCode)
	for _, path := range []string{"/d/notes/x", "/e/notes/x"} {
		a := s.get(path)
		require.Equal(t, 503, a.StatusCode)
		require.Contains(t, a.Body, "this service has no such store")
	}
	require.Contains(t, s.Log.String(), "deploy it with kv")

	s.add("/a", m, servicetest.WithKV("notes")) // another generation
	require.Equal(t, "text", s.get("/a/notes/x").Body)
	s.Withdraw("/a")
	s.Withdraw("/b")
	s.add("/f", m, servicetest.WithKV("notes"))
	require.Equal(t, "text", s.get("/f/notes/x").Body, "the store outlives its services")
}

// TestOperationsAreRecorded checks the access record, for requests that fail too.
func TestOperationsAreRecorded(t *testing.T) {
	s := newServer(t, wasm.Config{KeyValue: newStores(t)})
	s.add("/a", guests.SDK(t, "key-value"), servicetest.WithKV("notes"))
	s.get("/a/visits")
	s.get("/a/notes/absent")
	s.get("/a/elsewhere")
	for n, want := range []int{1, 1, 0} {
		r := s.Records.Nth(n + 1)
		require.Equal(t, accesslog.OutcomeOK, r.Outcome)
		require.Equal(t, want, r.KVOperations)
	}
}

// TestCountersLoseNothing adds to one number from all instances.
func TestCountersLoseNothing(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 8, KeyValue: newStores(t)})
	s.add("/a", guests.SDK(t, "key-value"), servicetest.WithKV("notes"))
	var answers []<-chan servicetest.Answer
	for range 40 {
		answers = append(answers, s.Begin("GET", "/a/visits", ""))
	}
	seen := make(map[string]bool)
	for _, a := range answers {
		answer := s.Await(a)
		require.Equal(t, 200, answer.StatusCode, answer.Body)
		seen[answer.Body] = true
	}
	require.Len(t, seen, 40)
	require.Equal(t, "41\n", s.get("/a/visits").Body)
}

func TestRefusedStores(t *testing.T) {
	with, without := newServer(t, wasm.Config{KeyValue: newStores(t)}), newServer(t, wasm.Config{})
	m := guests.Wat(t, "hello")
	require.ErrorContains(t, without.refused("/a", m, servicetest.WithKV("notes")), "this server has no key-value stores")
	for entry, reason := range map[string]string{
		"":                       "the name of a store",
		"Notes":                  "the name of a store",
		"notes/":                 "the name of a store",
		"../notes":               "the name of a store",
		"A=B":                    "the name of a store",
		"a b=notes":              "the name in front of =",
		"=notes":                 "the name in front of =",
		strings.Repeat("x", 64):  "the name of a store",
		"a=b=c":                  "the name of a store",
		"NOTES=notes,NOTES=more": "has the name",
	} {
		err := with.refused("/a", m, servicetest.WithKV(strings.Split(entry, ",")...))
		require.ErrorContains(t, err, reason, entry)
	}
	require.ErrorContains(t, with.refused("/a", m, servicetest.WithKV(make([]string, 17)...)), "at most 16")
}

// TestComponentsUseStores uses the interfaces of components, and finds what a component has written with another guest.
func TestComponentsUseStores(t *testing.T) {
	stores := newStores(t)
	s := newServer(t, wasm.Config{KeyValue: stores})
	s.add("/a", guests.Wat(t, "p2kv"), servicetest.WithKV("NOTES=notes"), servicetest.WithConfig(map[string]string{"greeting": "salve"}))
	for n := range 3 {
		a := s.get("/a")
		require.Equal(t, 200, a.StatusCode, a.Body)
		require.Equal(t, strconv.Itoa(n+1)+"\nsalve\n", a.Body)
	}
	require.Contains(t, s.Log.String(), `line="last: greeting"`)
	require.Equal(t, 3, s.Records.Nth(1).KVOperations)
	e, err := stores.Get(t.Context(), "notes", "last")
	require.NoError(t, err)
	require.Equal(t, "n", string(e.Value))
	require.Equal(t, "meta", e.Metadata)
	require.WithinDuration(t, time.Now().Add(time.Hour), e.Expires, time.Minute)
	s.add("/b", guests.Wat(t, "p2kv"))
	require.Equal(t, 500, s.get("/b").StatusCode, "without a store, it traps")
}
