package kv_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/services/kv"
	"github.com/vespo-dev/vespo/services/kv/boltstore"
)

// TestRequestsAreBounded checks that one request cannot read and write without end.
func TestRequestsAreBounded(t *testing.T) {
	stores, err := boltstore.Open(boltstore.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	defer func() { require.NoError(t, stores.Close()) }()
	b := kv.NewBindings(stores, []string{"a"})
	session := b.ForRequest(time.Now().Add(time.Minute))
	var failed *abi.KeyValueError
	for n := range kv.MaxOperations {
		_, err := session.Get(t.Context(), "a", strconv.Itoa(n))
		require.ErrorAs(t, err, &failed)
		require.Equal(t, abi.KeyValueNotFound, failed.Code)
	}
	_, err = session.Get(t.Context(), "a", "k")
	require.ErrorAs(t, err, &failed)
	require.Equal(t, abi.KeyValueTooMany, failed.Code)

	session = b.ForRequest(time.Now().Add(time.Minute))
	large := abi.KeyValueChange{Key: "k", Value: make([]byte, kv.MaxValueBytes)}
	_, err = session.Write(t.Context(), "a", []abi.KeyValueChange{large})
	require.NoError(t, err)
	for err == nil {
		_, err = session.Get(t.Context(), "a", "k")
	}
	require.ErrorAs(t, err, &failed)
	require.Equal(t, abi.KeyValueTooMany, failed.Code)
	require.Less(t, session.Operations(), 66)

	late := b.ForRequest(time.Now())
	_, err = late.Write(t.Context(), "a", []abi.KeyValueChange{{Key: "k"}})
	require.ErrorAs(t, err, &failed)
	require.Equal(t, abi.KeyValueDeadline, failed.Code)
	_, err = b.ForRequest(time.Now().Add(time.Minute)).Write(t.Context(), "a", []abi.KeyValueChange{{Key: "k", Value: make([]byte, 8<<20)}})
	require.ErrorAs(t, err, &failed)
	require.Equal(t, abi.KeyValueTooLarge, failed.Code)
}

// FuzzBindings checks that accepted lists bind valid names to valid stores.
func FuzzBindings(f *testing.F) {
	for _, entry := range []string{"notes", "NOTES=notes", "=", "a=", "=a", "a=b=c", "..", "a b"} {
		f.Add(entry)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		byName, violations := kv.ParseBindings([]string{entry})
		require.Len(t, violations, 1-len(byName))
		for name, store := range byName {
			require.NotEmpty(t, name)
			require.NoError(t, kv.CheckName(store))
		}
	})
}
