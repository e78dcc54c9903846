package filestore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// Entries come back as they were, by any key and with all fields.
func TestEntriesComeBack(t *testing.T) {
	v := registry.Version{
		Kind:     "wasm",
		Manifest: `{"env":{"A":"<&>"},"n":12345678901234567890}`,
		Blobs:    []registry.Blob{{Field: "module", Digest: registry.DigestOf(nil), SizeBytes: 7}},
		Origin:   registry.OriginFile,
		Note:     registry.Note{Message: "why", Author: "who"},
		Deployed: time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC),
	}
	s := &registry.State{}
	for _, text := range []string{"/", "/a Host: x", "/<&>\u2028 Host: \"x\""} {
		s, _ = s.Put(routekey.Stored(text), v)
		v.Note.Message += "!"
		s, _ = s.Put(routekey.Stored(text), registry.Version{Kind: "other", Deployed: v.Deployed})
	}
	for _, service := range s.Services {
		service.Split = registry.Split{Arms: []registry.Arm{{Number: 1, Weight: 1}, {Number: 2, Weight: 999}}, Sticky: registry.Sticky{Cookie: "c"}}
		data, err := EncodeService(service)
		require.NoError(t, err)
		again, err := DecodeService(data)
		require.NoError(t, err)
		require.Equal(t, service, again)
	}
	record := registry.Record{Kind: "k", Manifest: `{"a":"<&>"}`, Blobs: []registry.Digest{registry.DigestOf(nil)}}
	data, err := EncodeRecord(record)
	require.NoError(t, err)
	require.Contains(t, string(data), "<&>")
	again, err := DecodeRecord(data)
	require.NoError(t, err)
	require.Equal(t, record, again)
}

func TestEntriesAreReadStrictly(t *testing.T) {
	for _, data := range []string{"", "{", "[]", `{"prefix":"/a","new":1}`, `{"kind":"k"} {}`} {
		_, err := DecodeService([]byte(data))
		require.ErrorIs(t, err, errTorn, data)
		_, err = DecodeRecord([]byte(data))
		require.ErrorIs(t, err, errTorn, data)
	}
}
