package deploy

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/schema"
)

// textLayers prepares middleware that puts its module's text in front of the response.
type textLayers struct{ *textKind }

func (k textLayers) ValidateMiddleware(s services.Spec) error { return k.Validate(s) }

func (k textLayers) PrepareMiddleware(ctx context.Context, s services.Spec) (services.Middleware, error) {
	d, err := k.Prepare(ctx, s)
	if err != nil {
		return nil, err
	}
	return textLayer{d.(*textDeployment)}, nil
}

type textLayer struct{ *textDeployment }

func (l textLayer) ServeBefore(w http.ResponseWriter, r *router.Request, res *accesslog.Result, next router.Handler) error {
	if err := l.Serve(w, r, res); err != nil {
		return err
	}
	return next.Serve(w, r, res)
}

func withLayers(t *testing.T, dir string) (h *house, layers *textKind) {
	layers = &textKind{name: "layers"}
	return booted(t, dir, func(c *Config) { c.Middleware = textLayers{layers} }), layers
}

func TestAChainIsOneVersion(t *testing.T) {
	dir := t.TempDir()
	h, layers := withLayers(t, dir)
	ctx := context.Background()
	first, err := h.Add(ctx, chained("body", "outer ", "inner "))
	require.NoError(t, err)
	outer, inner := registry.DigestOf([]byte("outer ")), registry.DigestOf([]byte("inner "))
	require.Equal(t, []registry.Digest{outer, inner}, first.Service.Current.BlobsOf(schema.FieldUse))
	h.requireServed("/a", "outer inner body")

	_, err = h.Add(ctx, chained("body"))
	require.NoError(t, err)
	h.requireServed("/a", "body")
	require.NotEmpty(t, h.kind.specs)
	require.Len(t, h.kind.specs[0].Blobs, 1, "the kind does not know of it")

	_, err = h.Rollback(ctx, routekey.MustParse("/a"))
	require.NoError(t, err)
	h.requireServed("/a", "outer inner body")

	require.NoError(t, h.Remove(ctx, routekey.MustParse("/a")))
	h.end()
	require.Zero(t, layers.openCount())
}

func TestAChainIsThereAfterABoot(t *testing.T) {
	dir := t.TempDir()
	h, _ := withLayers(t, dir)
	_, err := h.Add(context.Background(), chained("body", "outer "))
	require.NoError(t, err)
	h.end()
	again, _ := withLayers(t, dir)
	again.requireServed("/a", "outer body")
}

func TestAChainThatCannotBeServedChangesNothing(t *testing.T) {
	h, layers := withLayers(t, t.TempDir())
	ctx := context.Background()
	_, err := h.Add(ctx, chained("body", "outer "))
	require.NoError(t, err)
	settings := spec(routekey.MustParse("/a"), "other")
	settings.Manifest = `{"use_config":{"a":"b"}}`
	for name, spec := range map[string]services.Spec{
		"one that is invalid":         chained("other", "fine ", "bad"),
		"one that cannot be made":     chained("other", "fine ", "unpreparable"),
		"too many":                    chained("other", strings.Split("a b c d e f g h i", " ")...),
		"settings without middleware": settings,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.Add(ctx, spec)
			require.Error(t, err)
			h.requireServed("/a", "outer body")
			require.Equal(t, 1, layers.openCount(), "what was prepared is closed")
			require.Equal(t, 1, h.kind.openCount())
		})
	}
}

// A change derived from the catalogue, like those of the Lambda API, keeps the middleware of the service.
func TestAChainIsKeptByChangesOfOtherThings(t *testing.T) {
	h, _ := withLayers(t, t.TempDir())
	ctx := context.Background()
	first, err := h.Add(ctx, chained("body", "outer "))
	require.NoError(t, err)
	use := first.Service.Current.BlobsOf(schema.FieldUse)
	changed := services.Spec{
		Key:   routekey.MustParse("/a"),
		Kind:  "text",
		Blobs: append(services.Module([]byte("other")), services.Blob{Field: schema.FieldUse, Digest: use[0]}),
	}
	second, err := h.Add(ctx, changed)
	require.NoError(t, err)
	h.requireServed("/a", "outer other")
	require.Equal(t, use, second.Service.Current.BlobsOf(schema.FieldUse))

	changed.Blobs[1].Digest = registry.DigestOf([]byte("never stored"))
	_, err = h.Add(ctx, changed)
	require.Error(t, err)
	h.requireServed("/a", "outer other")
}
