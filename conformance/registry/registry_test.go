package registry

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/egress/oci"
)

var module = []byte("\x00asm\x01\x00\x00\x00")

// start starts a registry, and returns its address.
func start(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func client() *oci.Client { return &oci.Client{HTTP: &http.Client{Transport: &http.Transport{}}} }

func parse(t *testing.T, text string) oci.Reference {
	t.Helper()
	ref, err := oci.ParseReference(text)
	require.NoError(t, err)
	return ref
}

// What Vespo pushes, another client reads, in the form of the CNCF's TAG Runtime.
func TestPush(t *testing.T) {
	host := start(t)
	pushed, err := client().Push(t.Context(), parse(t, "oci://"+host+"/team/hello:1"), module)
	require.NoError(t, err)
	ref, err := name.ParseReference(host + "/team/hello:1")
	require.NoError(t, err)
	image, err := remote.Image(ref)
	require.NoError(t, err)
	digest, err := image.Digest()
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(pushed.String(), "@"+digest.String()))
	manifest, err := image.Manifest()
	require.NoError(t, err)
	require.EqualValues(t, types.OCIManifestSchema1, manifest.MediaType)
	require.EqualValues(t, "application/vnd.wasm.config.v0+json", manifest.Config.MediaType)
	require.Len(t, manifest.Layers, 1)
	require.EqualValues(t, "application/wasm", manifest.Layers[0].MediaType)
	layer, err := remote.Layer(ref.Context().Digest(manifest.Layers[0].Digest.String()))
	require.NoError(t, err)
	body, err := layer.Compressed()
	require.NoError(t, err)
	defer body.Close()
	got, err := io.ReadAll(body)
	require.NoError(t, err)
	require.Equal(t, module, got)
	again, err := client().Push(t.Context(), parse(t, "oci://"+host+"/team/hello:2"), module)
	require.NoError(t, err, "blobs that the registry has")
	require.NotEmpty(t, again)
}

// What another client pushes, in the form of wasm-to-oci and in an index, Vespo pulls.
func TestPull(t *testing.T) {
	host := start(t)
	image, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), mutate.Addendum{
		Layer: static.NewLayer(module, "application/vnd.wasm.content.layer.v1+wasm"),
	})
	require.NoError(t, err)
	ref, err := name.ParseReference(host + "/older:1")
	require.NoError(t, err)
	require.NoError(t, remote.Write(ref, image))
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
		mutate.IndexAddendum{Add: empty.Image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}},
		mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "wasip1", Architecture: "wasm"}}})
	all, err := name.ParseReference(host + "/older:all")
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(all, index))
	for _, tag := range []string{"1", "all"} {
		got, resolved, err := client().Pull(t.Context(), parse(t, "oci://"+host+"/older:"+tag))
		require.NoError(t, err, tag)
		require.Equal(t, module, got)
		got, _, err = client().Pull(t.Context(), parse(t, resolved.String()))
		require.NoError(t, err, resolved)
		require.Equal(t, module, got)
	}
}
