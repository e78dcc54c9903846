package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
)

func TestBlobs(t *testing.T) {
	g := startGuarded(t, setup{}, "")
	added := g.post("/services/add?prefix=a", "application/wasm", magic+"hello")
	require.Equal(t, http.StatusCreated, added.status, added.body)
	digest := registry.DigestOf([]byte(magic + "hello"))
	path := "/services/blob?digest=" + string(digest)

	whole := g.get(path)
	require.Equal(t, http.StatusOK, whole.status)
	require.Equal(t, magic+"hello", whole.body)
	require.Equal(t, `"`+string(digest)+`"`, whole.header.Get("ETag"))
	require.Equal(t, "no-store", whole.header.Get("Cache-Control"))

	r := g.request(http.MethodGet, path, "", strings.NewReader(""))
	r.Header.Set("Range", "bytes=10-")
	r.Header.Set("If-Range", whole.header.Get("ETag"))
	part := g.do(r)
	require.Equal(t, http.StatusPartialContent, part.status)
	require.Equal(t, "llo", part.body)
	require.Equal(t, "bytes 10-12/13", part.header.Get("Content-Range"))

	r.Header.Set("Range", "bytes=13-")
	require.Equal(t, http.StatusRequestedRangeNotSatisfiable, g.do(r).status)
	require.Equal(t, http.StatusNotFound, g.get("/services/blob?digest="+string(registry.DigestOf(nil))).status)
	for _, bad := range []string{"", "?digest=sha256:../manifest.json", "?digest=" + strings.ToUpper(string(digest)), "?digest=" + string(digest) + "&more=1"} {
		require.Equal(t, http.StatusBadRequest, g.get("/services/blob"+bad).status, bad)
	}

	refused := g.as(g.create("eye", "read"), http.MethodGet, path, "")
	require.Equal(t, http.StatusForbidden, refused.status)
	require.Contains(t, refused.body, "needs follow, as the catalogue has secrets")
	require.Equal(t, whole.body, g.as(g.create("copy", "follow"), http.MethodGet, path, "").body)
}
