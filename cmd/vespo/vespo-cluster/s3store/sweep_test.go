package s3store

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
	"github.com/vespo-dev/vespo/registry"
)

// TestBlobsAndMarks lists objects whose names are digests, in more than one page.
func TestBlobsAndMarks(t *testing.T) {
	s := newServer(t)
	o := open(t, "s3://modules/team/a"+s.options)
	put := func(name string) {
		_, err := s.backend.PutObject("modules", name, map[string]string{}, strings.NewReader("x"), 1, nil)
		require.NoError(t, err)
	}
	want := make(map[registry.Digest]bool)
	for i := range 1100 {
		d := registry.DigestOf([]byte{byte(i), byte(i >> 8)})
		want[d] = true
		put("team/a/sha256/" + d.Hex())
	}
	d := registry.DigestOf(nil)
	for _, name := range []string{"team/a/sha256/x", "team/a/sha256/a/" + d.Hex(), "team/ab/sha256/" + d.Hex(), "team/sha256/" + d.Hex(), "team/a/" + d.Hex()} {
		put(name)
	}
	got := make(map[registry.Digest]bool)
	for b, err := range o.Blobs(t.Context()) {
		require.NoError(t, err)
		require.WithinDuration(t, time.Now(), b.Stored, time.Minute)
		require.EqualValues(t, 1, b.SizeBytes)
		got[b.Digest] = true
	}
	require.Equal(t, want, got)
	for range o.Blobs(t.Context()) {
		break // the rest is not asked for
	}

	marks := func() int {
		all, err := o.Marks(t.Context())
		require.NoError(t, err)
		return len(all)
	}
	require.Zero(t, marks())
	for range 2 {
		require.NoError(t, o.Mark(t.Context(), d, true))
		require.Equal(t, 1, marks())
	}
	for range 2 {
		require.NoError(t, o.Mark(t.Context(), d, false))
		require.Zero(t, marks())
	}
}

// TestDeletion deletes a blob that is old enough by the clock of the object store, while the deletion is valid.
func TestDeletion(t *testing.T) {
	s := newServer(t)
	o := open(t, "s3://modules/team/a"+s.options)
	blob := []byte("module")
	d := registry.DigestOf(blob)
	prepared := func(valid time.Duration) cluster.Deletion {
		now, err := o.Now(t.Context())
		require.NoError(t, err)
		deletion, err := o.Deletion(t.Context(), d, now, valid)
		require.NoError(t, err)
		return deletion
	}
	there := func() bool {
		has, err := o.Has(t.Context(), d)
		require.NoError(t, err)
		return has
	}
	_, deleted, err := prepared(time.Minute).Delete(t.Context(), 0)
	require.NoError(t, err, "it is not there")
	require.False(t, deleted)
	require.NoError(t, o.Put(t.Context(), d, blob))
	_, deleted, err = prepared(time.Minute).Delete(t.Context(), time.Minute)
	require.NoError(t, err, "it is young")
	require.False(t, deleted)
	late := prepared(time.Second)
	<-time.After(2 * time.Second)
	_, deleted, err = late.Delete(t.Context(), 0)
	require.ErrorContains(t, err, "answered 403")
	require.NotErrorIs(t, err, cluster.ErrUnsettled)
	require.False(t, deleted)
	require.True(t, there())
	size, deleted, err := prepared(time.Minute).Delete(t.Context(), 0)
	require.NoError(t, err)
	require.True(t, deleted)
	require.EqualValues(t, len(blob), size)
	require.False(t, there())

	now, err := o.Now(t.Context())
	require.NoError(t, err)
	_, err = o.Deletion(t.Context(), d, now.Add(-time.Hour), time.Minute)
	require.ErrorContains(t, err, "ahead of that of the object store")
	_, err = o.Deletion(t.Context(), "sha256:../x", now, time.Minute)
	require.ErrorIs(t, err, registry.ErrDigest)
}

// TestLostAnswerOfADeletion may be made later.
func TestLostAnswerOfADeletion(t *testing.T) {
	s := newServer(t)
	o := open(t, "s3://modules/team/a"+s.options+"&timeout=5s")
	d := registry.DigestOf(nil)
	require.NoError(t, o.Put(t.Context(), d, nil))
	stored := time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)
	for name, answer := range map[string]func(http.ResponseWriter){
		"cut":    func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"failed": func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) },
	} {
		now, err := o.Now(t.Context())
		require.NoError(t, err, name)
		deletion, err := o.Deletion(t.Context(), d, now, time.Minute)
		require.NoError(t, err, name)
		fault := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodDelete {
				answer(w)
				return
			}
			w.Header().Set("Last-Modified", stored)
		})
		s.fault.Store(&fault)
		_, deleted, err := deletion.Delete(t.Context(), time.Minute)
		require.ErrorIs(t, err, cluster.ErrUnsettled, name)
		require.NotContains(t, err.Error(), "X-Amz", name)
		require.False(t, deleted, name)
		s.fault.Store(nil)
	}
}
