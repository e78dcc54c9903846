package kvlines

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kv"
	"github.com/vespo-dev/vespo/services/kv/boltstore"
)

func open(t *testing.T) *boltstore.Stores {
	s, err := boltstore.Open(boltstore.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestExportsCanBeImported(t *testing.T) {
	s := open(t)
	expires := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	var changes []kv.Change
	for n := range kv.MaxChanges {
		changes = append(changes, kv.Change{Key: fmt.Sprintf("key/%03d", n), Value: []byte(strings.Repeat("<&\"\n", n)), Metadata: "ü"})
	}
	_, err := s.Write(t.Context(), "a", changes)
	require.NoError(t, err)
	_, err = s.Write(t.Context(), "a", []kv.Change{
		{Key: "bytes", Value: []byte{0xff, 0, 1}, Expires: expires},
		{Key: "large", Value: bytes.Repeat([]byte{1}, kv.MaxValueBytes)},
	}[:1])
	require.NoError(t, err)
	_, err = s.Write(t.Context(), "a", []kv.Change{{Key: "large", Value: bytes.Repeat([]byte{1}, kv.MaxValueBytes)}})
	require.NoError(t, err)

	var first, second bytes.Buffer
	require.NoError(t, Export(t.Context(), s, "a", "", &first))
	done, err := Import(t.Context(), s, "b", bytes.NewReader(first.Bytes()))
	require.NoError(t, err)
	require.Equal(t, Imported{Keys: 102}, done)
	require.NoError(t, Export(t.Context(), s, "b", "", &second))
	require.Equal(t, withoutVersions(t, first.String()), withoutVersions(t, second.String()))
	second.Reset()
	require.NoError(t, Export(t.Context(), s, "b", "key/01", &second))
	require.Equal(t, 10, strings.Count(second.String(), "\n"))
	second.Reset()
	require.NoError(t, Export(t.Context(), s, "none", "", &second))
	require.Empty(t, second.String())
}

func withoutVersions(t *testing.T, lines string) (all []Line) {
	for line := range strings.Lines(lines) {
		l, err := Parse([]byte(line))
		require.NoError(t, err)
		require.NotZero(t, l.Version)
		l.Version = 0
		all = append(all, l)
	}
	return all
}

func TestImportsStopAtABadLine(t *testing.T) {
	for _, c := range []struct {
		name, bad, reason string
	}{
		{"no JSON", "key", "line 202 is not a JSON object"},
		{"unknown member", `{"key":"k","values":""}`, "unknown field"},
		{"two values", `{"key":"k","value":"","base64":"AA=="}`, "give one of them"},
		{"two objects", `{"key":"k"}{"key":"l"}`, "more than one"},
		{"no key", `{"value":"v"}`, "the key is empty"},
		{"long key", `{"key":"` + strings.Repeat("k", 513) + `"}`, "512"},
		{"long line", strings.Repeat(" ", MaxLineBytes+1), "longer than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			var lines strings.Builder
			for n := range 201 {
				fmt.Fprintf(&lines, `{"key":"%d","value":"v"}`+"\n", n)
			}
			lines.WriteString(c.bad + "\n" + `{"key":"last"}` + "\n")
			done, err := Import(t.Context(), s, "a", strings.NewReader(lines.String()))
			var at *LineError
			require.ErrorAs(t, err, &at)
			require.ErrorContains(t, err, c.reason)
			require.Equal(t, 202, at.Line)
			require.Equal(t, Imported{Keys: 200}, done, "whole batches")
			all, err := s.All(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, 200, all[0].Keys)
		})
	}
}

// TestImportsThatBreakOff checks that the failure of the reader is reported, and not the part of a line that it leaves.
func TestImportsThatBreakOff(t *testing.T) {
	gone := errors.New("the client is gone")
	_, err := Import(t.Context(), open(t), "a", io.MultiReader(strings.NewReader(`{"key":"k"}`+"\n"+`{"key":"l","val`), iotest.ErrReader(gone)))
	require.Equal(t, gone, err)
}

// TestImportsNameALineOfTheBatch fails a batch when a later line makes it complete.
func TestImportsNameALineOfTheBatch(t *testing.T) {
	_, err := Import(t.Context(), open(t), "a", strings.NewReader(`{"key":"a"}`+"\n"+`{"key":"k","if_version":7}`+"\n\n"+`{"key":"k"}`))
	require.ErrorIs(t, err, kv.ErrConflict)
	var at *LineError
	require.ErrorAs(t, err, &at)
	require.Equal(t, 2, at.Line)
}

func TestImportsOfOneKeyInOrder(t *testing.T) {
	s := open(t)
	done, err := Import(t.Context(), s, "a", strings.NewReader(`{"key":"k","value":"1"}`+"\n\n"+`{"key":"k","value":"2"}`+"\n"+
		`{"key":"old","expires":"2001-01-01T00:00:00Z"}`))
	require.NoError(t, err)
	require.Equal(t, Imported{Keys: 2, Expired: 1}, done)
	e, err := s.Get(t.Context(), "a", "k")
	require.NoError(t, err)
	require.Equal(t, "2", string(e.Value))
}

// FuzzParse checks that a line that is accepted is written and read again as the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"key":"k","value":"v","metadata":"m","expires":"2030-01-01T00:00:00Z","version":7}`))
	f.Add([]byte(`{"key":"k","base64":"/wA=","if_version":0}`))
	f.Add([]byte(`{"key":"\ud800"}`))
	f.Add([]byte(`{"key":"k","base64":""}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := Parse(text)
		if err != nil {
			return
		}
		if _, err := json.Marshal(l); err != nil { // a time beyond the year 9999
			return
		}
		again, err := Parse(l.Append(nil))
		require.NoError(t, err)
		require.Equal(t, string(l.Change().Value), string(again.Change().Value)) // no value is an empty one
		require.Equal(t, l.Key, again.Key)
		require.True(t, l.Expires.Equal(again.Expires))
	})
}
