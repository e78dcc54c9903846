package deploy

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
)

// unread makes the content of specs one that is read when it is needed. reads counts.
func unread(all []services.Spec, reads *atomic.Int32, fail error) []services.Spec {
	for _, s := range all {
		content := s.Blobs[0].Content
		s.Blobs[0] = services.Blob{
			Field:     s.Blobs[0].Field,
			Digest:    registry.DigestOf(content),
			SizeBytes: int64(len(content)),
			Read:      func() ([]byte, error) { reads.Add(1); return content, fail },
		}
	}
	return all
}

// TestUnchangedModulesAreNotRead applies a file again: only the module that differs from the catalogue is read.
func TestUnchangedModulesAreNotRead(t *testing.T) {
	dir := t.TempDir()
	h := booted(t, dir, withFile)
	var reads atomic.Int32
	apply := func(declared ...string) {
		t.Helper()
		reads.Store(0)
		_, err := h.Apply(t.Context(), unread(specs(declared...), &reads, nil))
		require.NoError(t, err)
	}
	apply("/a=1", "/b=2")
	h.requireServed("/b", "2")
	require.EqualValues(t, 4, reads.Load(), "to validate and to prepare")
	require.EqualValues(t, 1, h.cfg.Registry.State().Sorted()[0].Current.Size())
	apply("/a=1", "/b=2")
	require.Zero(t, reads.Load())
	apply("/a=1", "/b=3")
	require.EqualValues(t, 2, reads.Load())
	h.requireServed("/b", "3")
	h.end()

	h = booted(t, dir, withFile)
	apply("/a=1", "/b=3")
	require.Zero(t, reads.Load(), "the catalogue has them")
	h.requireServed("/a", "1")
}

// TestModulesThatCannotBeReadAgain refuses the file with the service that has the module.
func TestModulesThatCannotBeReadAgain(t *testing.T) {
	h := booted(t, t.TempDir(), withFile)
	var reads atomic.Int32
	gone := errors.New("the module is gone")
	_, err := h.Apply(t.Context(), append(specs("/a=1"), unread(specs("/b=2"), &reads, gone)...))
	var refused *ApplyError
	require.ErrorAs(t, err, &refused)
	require.ErrorIs(t, err, gone)
	require.Equal(t, 1, refused.Failures[0].Index)
	require.Empty(t, h.cfg.Registry.State().Services)
	require.ErrorIs(t, h.Rehearse(t.Context(), unread(specs("/b=2"), &reads, gone), "text"), gone)
}

// blobReader is a kind that reads the blobs of served versions itself.
type blobReader struct{ *textKind }

func (blobReader) ReadsBlobs() {}

// TestStartReadsNoBlobsForTheirReaders starts services of a kind that reads blobs itself. A changed version has its content.
func TestStartReadsNoBlobsForTheirReaders(t *testing.T) {
	h := unbooted(t, stocked(t), func(c *Config) { c.Kinds[0] = blobReader{c.Kinds[0].(*textKind)} })
	require.NoError(t, h.Boot(t.Context()))
	require.Len(t, h.kind.specs, 3)
	for _, s := range h.kind.specs {
		require.True(t, s.Served)
		require.Nil(t, s.Blobs[0].Content)
		require.NotEmpty(t, s.Blobs[0].Digest)
	}
	_, err := h.Rollback(t.Context(), routekey.MustParse("/a"))
	require.NoError(t, err)
	require.Equal(t, "zero", string(moduleOf(h.kind.specs[3])))
}
