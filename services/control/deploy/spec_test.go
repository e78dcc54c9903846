package deploy

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/schedule"
	"github.com/vespo-dev/vespo/services/schema"
)

// secretive is a kind with a secret field.
type secretive struct{ *textKind }

func (secretive) Describe() schema.Kind {
	return schema.Kind{
		Name: "secretive",
		Forms: []schema.Form{{Fields: []schema.Field{
			{Name: "url", Type: schema.Text},
			{Name: "header", Type: schema.Texts, Secret: true},
		}}},
	}
}

// Readers of logs could guess a short secret and compare digests.
func TestLoggedDigestsDoNotCoverSecrets(t *testing.T) {
	d := &Deployer{kinds: map[string]services.Kind{"secretive": secretive{}}}
	logged := func(m registry.Manifest) registry.Digest {
		return d.logged(registry.Version{Kind: "secretive", Manifest: m})
	}
	require.Equal(t, logged(`{"url":"a"}`), logged(`{"header":["A: hunter2"],"url":"a","use_config":{"k":"v"}}`))
	require.NotEqual(t, logged(`{"url":"a"}`), logged(`{"url":"b"}`))
	module := registry.Version{Kind: "secretive", Manifest: `{"header":["a"]}`, Blobs: []registry.Blob{{Field: "module", Digest: "sha256:1"}}}
	require.EqualValues(t, "sha256:1", d.logged(module))
}

func TestSpecsAndVersionsCorrespond(t *testing.T) {
	h := booted(t, t.TempDir(), func(*Config) {})
	s := h.identified(services.Spec{
		Key:  routekey.MustParse("/a"),
		Kind: "text",
		Blobs: []services.Blob{
			{Field: schema.FieldUse, Content: []byte("outer")},
			{Field: schema.FieldModule, Content: []byte("body")},
			{Field: schema.FieldUse, Content: []byte("inner")},
		},
		Origin: registry.OriginFile,
		Note:   registry.Note{Message: "m", Author: "a"},
	})
	v := versionOf(s)
	require.Equal(t, registry.EmptyManifest, v.Manifest)
	require.Equal(t, []registry.Digest{registry.DigestOf([]byte("outer")), registry.DigestOf([]byte("inner"))}, v.BlobsOf(schema.FieldUse))
	require.Equal(t, int64(14), v.Size())
	release, err := h.putBlobs(t.Context(), s)
	require.NoError(t, err)
	defer release()
	back, err := h.stored(t.Context(), routekey.MustParse("/a"), v)
	require.NoError(t, err)
	require.Equal(t, s, back)
}

func TestSchedulesOfAServerAreBounded(t *testing.T) {
	h := booted(t, t.TempDir(), func(*Config) {})
	with := func(key string, n int) services.Spec {
		var crons []string
		for i := range n {
			crons = append(crons, fmt.Sprintf("0 0 * * * GET /%d", i))
		}
		s := spec(routekey.MustParse(key), "text")
		s.Manifest = schema.With(registry.EmptyManifest, map[string]any{schema.FieldCron: crons})
		return s
	}
	for i := range schedule.MaxServer / schedule.Max {
		_, err := h.Add(t.Context(), with(fmt.Sprintf("/s%d", i), schedule.Max))
		require.NoError(t, err)
	}
	_, err := h.Add(t.Context(), with("/more", 1))
	require.ErrorContains(t, err, "has 1 schedules, and the server would have 4097: at most 4096 are possible")
	_, err = h.Add(t.Context(), with("/s1", schedule.Max))
	require.NoError(t, err, "a replacement does not count twice")
	require.NotContains(t, string(h.kind.specs[0].Manifest), "cron", "the kind does not know of them")
}
