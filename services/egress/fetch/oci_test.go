package fetch_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/egress/fetch"
	"github.com/vespo-dev/vespo/services/egress/oci"
	"github.com/vespo-dev/vespo/services/egress/oci/registrytest"
)

// Modules of registries are fetched by the same rules of addresses and sizes, and without credentials.
func TestFetchFromRegistries(t *testing.T) {
	registry := registrytest.New()
	host := strings.TrimPrefix(serve(t, registry.ServeHTTP), "http://")
	ref, err := oci.ParseReference("oci://" + host + "/hello:1")
	require.NoError(t, err)
	pushed, err := (&oci.Client{HTTP: &http.Client{Transport: &http.Transport{}}}).Push(t.Context(), ref, module)
	require.NoError(t, err)

	source, err := fetch.ParseSource(ref.String())
	require.NoError(t, err)
	require.Equal(t, ref.String(), source.String())
	got, pinned, err := fetch.New(fetch.Config{Policy: local()}).FetchPinned(t.Context(), source)
	require.NoError(t, err)
	require.Equal(t, module, got)
	require.Equal(t, pushed.String(), pinned)

	_, err = get(t, fetch.Config{}, ref.String())
	requireReason(t, err, fetch.ErrRefused, "only public addresses")
	_, err = get(t, fetch.Config{Policy: local(), MaxBytes: 4}, ref.String())
	requireReason(t, err, fetch.ErrTooLarge, "8 bytes: at most 4")
	registry.BlobsAt = "http://169.254.169.254"
	_, err = get(t, fetch.Config{Policy: local()}, ref.String())
	requireReason(t, err, fetch.ErrRefused, "169.254.169.254")
	registry.User = "user"
	_, err = get(t, fetch.Config{Policy: local()}, ref.String())
	requireReason(t, err, fetch.ErrUnavailable, "is not open to this client")
	ended, end := context.WithCancel(t.Context())
	end()
	_, err = fetch.New(fetch.Config{Policy: local()}).Fetch(ended, source)
	require.ErrorIs(t, err, context.Canceled)
	_, err = fetch.ParseSource("oci://nothing")
	requireReason(t, err, fetch.ErrInvalidSource, "names no repository")
}
