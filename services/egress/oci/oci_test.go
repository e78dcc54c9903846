package oci_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/egress"
	"github.com/vespo-dev/vespo/services/egress/oci"
	"github.com/vespo-dev/vespo/services/egress/oci/registrytest"
)

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	indexType    = "application/vnd.oci.image.index.v1+json"
	configType   = "application/vnd.wasm.config.v0+json"
)

var module = []byte("\x00asm\x01\x00\x00\x00")

// client returns a client that reaches 127.0.0.1 only.
func client() *oci.Client {
	policy := egress.Policy{Granted: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	dialer := &net.Dialer{ControlContext: policy.Control}
	return &oci.Client{HTTP: &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}}
}

// listen serves h and returns its address as a registry.
func listen(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func ref(t *testing.T, text string) oci.Reference {
	t.Helper()
	r, err := oci.ParseReference(text)
	require.NoError(t, err)
	return r
}

// artifact returns a manifest with layers of the types, all of which are the module.
func artifact(g *registrytest.Registry, types ...string) string {
	config := g.Blob([]byte("{}"))
	var layers []string
	for _, mediaType := range types {
		layers = append(layers, fmt.Sprintf(`{"mediaType": %q, "digest": %q, "size": %d}`, mediaType, g.Blob(module), len(module)))
	}
	return fmt.Sprintf(`{"schemaVersion": 2, "mediaType": %q, "config": {"mediaType": %q, "digest": %q, "size": 2}, "layers": [%s]}`,
		manifestType, configType, config, strings.Join(layers, ","))
}

func requireFailed(t *testing.T, err, reason error, words string) {
	t.Helper()
	require.ErrorIs(t, err, reason)
	require.ErrorContains(t, err, words)
	require.NotContains(t, err.Error(), "hidden")
}

func TestParseReference(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	for given, want := range map[string]string{
		"oci://example.com/a":                   "oci://example.com/a:latest",
		"oci://example.com:5000/team/hello:1.2": "oci://example.com:5000/team/hello:1.2",
		"oci://example.com/a@" + digest:         "oci://example.com/a@" + digest,
		"oci://example.com/a:v1@" + digest:      "oci://example.com/a:v1@" + digest,
		"oci://[::1]:5000/a:x":                  "oci://[::1]:5000/a:x",
	} {
		require.Equal(t, want, ref(t, given).String())
	}
	for _, given := range []string{
		"", "example.com/a", "https://example.com/a", "oci://", "oci://example.com", "oci:///a", "oci://example.com/A:x", "oci://example.com/a:",
		"oci://example.com/a:b c", "oci://example.com/a@sha256:abc", "oci://user:hidden@example.com/a", "oci://example.com/a?x=1", "oci://example.com/../a",
		"oci://example.com/a@", "oci://" + strings.Repeat("a", 2000) + "/b",
	} {
		_, err := oci.ParseReference(given)
		require.ErrorIs(t, err, oci.ErrInvalid, given)
		require.NotContains(t, err.Error(), "hidden")
	}
}

func TestPushAndPull(t *testing.T) {
	g := registrytest.New()
	host := listen(t, g)
	pushed, err := client().Push(t.Context(), ref(t, "oci://"+host+"/team/hello:1"), module)
	require.NoError(t, err)
	require.Contains(t, pushed.String(), ":1@sha256:")
	manifest := string(g.Manifests["1"])
	require.Contains(t, manifest, `"mediaType":"application/vnd.wasm.config.v0+json"`)
	require.Contains(t, manifest, `"layers":[{"mediaType":"application/wasm","digest":"`+registrytest.DigestOf(module)+`"`)
	var config string
	for _, data := range g.Blobs {
		if strings.Contains(string(data), "architecture") {
			config = string(data)
		}
	}
	require.Contains(t, config, `"architecture":"wasm","os":"wasip1","layerDigests":["`+registrytest.DigestOf(module)+`"]`)

	for _, text := range []string{"oci://" + host + "/team/hello:1", pushed.String(), "oci://" + host + "/team/hello@" + registrytest.DigestOf(g.Manifests["1"])} {
		got, resolved, err := client().Pull(t.Context(), ref(t, text))
		require.NoError(t, err)
		require.Equal(t, module, got)
		require.Contains(t, resolved.String(), registrytest.DigestOf(g.Manifests["1"]))
	}
	_, err = client().Push(t.Context(), pushed, module)
	requireFailed(t, err, oci.ErrInvalid, "give a tag alone")
	_, _, err = client().Pull(t.Context(), ref(t, "oci://"+host+"/team/hello:2"))
	requireFailed(t, err, oci.ErrUnavailable, "does not exist")
}

func TestLayers(t *testing.T) {
	g := registrytest.New()
	host := listen(t, g)
	for words, types := range map[string][]string{
		"": {"application/wasm"},
		"0 layers that are modules, and one is needed: its layers are application/vnd.oci.image.layer.v1.tar+gzip": {"application/vnd.oci.image.layer.v1.tar+gzip"},
		"2 layers": {"application/wasm", "application/vnd.wasm.content.layer.v1+wasm"},
		"0 layers": nil,
	} {
		g.Manifest("x", manifestType, artifact(g, types...))
		_, _, err := client().Pull(t.Context(), ref(t, "oci://"+host+"/a:x"))
		if words == "" {
			require.NoError(t, err)
			continue
		}
		requireFailed(t, err, oci.ErrUnavailable, words)
	}
	for _, older := range []string{"application/vnd.wasm.content.layer.v1+wasm", "application/vnd.module.wasm.content.layer.v1+wasm"} {
		g.Manifest("x", "application/vnd.docker.distribution.manifest.v2+json", artifact(g, "application/json", older))
		got, _, err := client().Pull(t.Context(), ref(t, "oci://"+host+"/a:x"))
		require.NoError(t, err)
		require.Equal(t, module, got)
	}
}

func TestIndexes(t *testing.T) {
	g := registrytest.New()
	host := listen(t, g)
	text := artifact(g, "application/wasm")
	digest := g.Manifest("inner", manifestType, text)
	entry := func(platform string) string {
		if platform != "" {
			system, architecture, _ := strings.Cut(platform, "/")
			platform = fmt.Sprintf(`, "platform": {"os": %q, "architecture": %q}`, system, architecture)
		}
		return fmt.Sprintf(`{"mediaType": %q, "digest": %q, "size": %d%s}`, manifestType, digest, len(text), platform)
	}
	for words, platforms := range map[string][]string{
		"":                            {"linux/amd64", "wasip1/wasm", "linux/arm64"},
		"0 manifests for WebAssembly": {"linux/amd64", "linux/arm64"},
		"2 manifests for WebAssembly, of the platforms wasip1/wasm, wasip2/wasm": {"wasip1/wasm", "wasip2/wasm"},
	} {
		var entries []string
		for _, platform := range platforms {
			entries = append(entries, entry(platform))
		}
		g.Manifest("all", indexType, `{"schemaVersion": 2, "manifests": [`+strings.Join(entries, ",")+`]}`)
		_, resolved, err := client().Pull(t.Context(), ref(t, "oci://"+host+"/a:all"))
		if words != "" {
			requireFailed(t, err, oci.ErrUnavailable, words)
			continue
		}
		require.NoError(t, err)
		require.Contains(t, resolved.String(), registrytest.DigestOf(g.Manifests["all"]), "the reference is pinned to the index")
	}
	g.Manifest("one", indexType, `{"schemaVersion": 2, "manifests": [`+entry("")+`]}`)
	_, _, err := client().Pull(t.Context(), ref(t, "oci://"+host+"/a:one"))
	require.NoError(t, err)
}

func TestContentIsChecked(t *testing.T) {
	g := registrytest.New()
	host := listen(t, g)
	g.Manifest("x", manifestType, artifact(g, "application/wasm"))
	for name, alter := range map[string]func([]byte) []byte{
		"other bytes": func(data []byte) []byte { return []byte(strings.Repeat("x", len(data))) },
		"longer":      func(data []byte) []byte { return append([]byte(string(data)), 0) },
		"shorter":     func(data []byte) []byte { return data[1:] },
		"empty":       func([]byte) []byte { return nil },
	} {
		g.Alter = alter
		_, _, err := client().Pull(t.Context(), ref(t, "oci://"+host+"/a:x"))
		require.ErrorIs(t, err, oci.ErrUnavailable, name)
	}
	g.Alter = nil
	pinned := "sha256:" + strings.Repeat("0", 64)
	g.Manifests[pinned], g.Types[pinned] = g.Manifests["x"], manifestType
	_, _, err := client().Pull(t.Context(), ref(t, "oci://"+host+"/a@"+pinned))
	require.ErrorIs(t, err, oci.ErrUnavailable)
}

func TestSizesAreBounded(t *testing.T) {
	g := registrytest.New()
	host := listen(t, g)
	g.Manifest("x", manifestType, strings.Replace(artifact(g, "application/wasm"), `"size": 8`, `"size": 1099511627776`, 1))
	_, _, err := client().Pull(t.Context(), ref(t, "oci://"+host+"/a:x"))
	requireFailed(t, err, oci.ErrTooLarge, "1099511627776 bytes: at most 67108864")
	g.Manifest("x", manifestType, strings.Replace(artifact(g, "application/wasm"), `"size": 8`, `"size": -1`, 1))
	_, _, err = client().Pull(t.Context(), ref(t, "oci://"+host+"/a:x"))
	requireFailed(t, err, oci.ErrUnavailable, "empty module")
	g.Manifest("x", manifestType, artifact(g, "application/wasm")+strings.Repeat(" ", 2<<20))
	_, _, err = client().Pull(t.Context(), ref(t, "oci://"+host+"/a:x"))
	requireFailed(t, err, oci.ErrUnavailable, "manifest of")
	g.Manifest("x", manifestType, "not JSON")
	_, _, err = client().Pull(t.Context(), ref(t, "oci://"+host+"/a:x"))
	requireFailed(t, err, oci.ErrUnavailable, "malformed manifest")
	g.Manifest("x", "text/html", "<html>")
	_, _, err = client().Pull(t.Context(), ref(t, "oci://"+host+"/a:x"))
	requireFailed(t, err, oci.ErrUnavailable, "")
}

func TestCredentials(t *testing.T) {
	for _, bearer := range []string{"", "a-registry-token"} {
		g := registrytest.New()
		g.User, g.Password, g.Bearer = "user", "hidden", bearer
		host := listen(t, g)
		_, err := client().Push(t.Context(), ref(t, "oci://"+host+"/a:x"), module)
		requireFailed(t, err, oci.ErrDenied, "docker login")
		c := client()
		password := "hidden"
		c.Credential = func(_ context.Context, registry string) (oci.Credential, error) {
			require.Equal(t, host, registry)
			return oci.Credential{Username: "user", Password: password}, nil
		}
		_, err = c.Push(t.Context(), ref(t, "oci://"+host+"/a:x"), module)
		require.NoError(t, err)
		_, _, err = c.Pull(t.Context(), ref(t, "oci://"+host+"/a:x"))
		require.NoError(t, err)
		password = "hidden too"
		_, _, err = c.Pull(t.Context(), ref(t, "oci://"+host+"/a:x"))
		requireFailed(t, err, oci.ErrDenied, "")
	}
}

// A redirect to a blob store gets no credentials, and its address is judged like that of the registry.
func TestRedirects(t *testing.T) {
	store := registrytest.New()
	seen := ""
	storeAt := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen += r.Header.Get("Authorization") + r.Header.Get("Referer")
		store.ServeHTTP(w, r)
	}))
	g := registrytest.New()
	g.User, g.Password = "user", "hidden"
	host := listen(t, g)
	g.Manifest("x", manifestType, artifact(g, "application/wasm"))
	store.Blob(module)
	g.BlobsAt = "http://" + strings.Replace(storeAt, "127.0.0.1", "localhost", 1)
	c := client()
	c.Credential = func(context.Context, string) (oci.Credential, error) {
		return oci.Credential{Username: "user", Password: "hidden"}, nil
	}
	got, _, err := c.Pull(t.Context(), ref(t, "oci://"+host+"/a:x"))
	require.NoError(t, err)
	require.Equal(t, module, got)
	require.Empty(t, seen)

	for _, elsewhere := range []string{"http://127.0.0.2:1", "http://169.254.169.254", "http://10.0.0.1"} {
		g.BlobsAt = elsewhere
		_, _, err = c.Pull(t.Context(), ref(t, "oci://"+host+"/a:x"))
		requireFailed(t, err, oci.ErrRefused, "only public addresses")
	}
	g.BlobsAt = "http://" + host + "/loop"
	_, _, err = c.Pull(t.Context(), ref(t, "oci://"+host+"/a:x"))
	requireFailed(t, err, oci.ErrUnavailable, "redirects more than 5 times")
}

func TestAddressesAreRefused(t *testing.T) {
	var policy egress.Policy
	dialer := &net.Dialer{ControlContext: policy.Control}
	c := &oci.Client{HTTP: &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext}}}
	host := listen(t, registrytest.New())
	for _, at := range []string{host, strings.Replace(host, "127.0.0.1", "localhost", 1), "10.0.0.1"} {
		_, _, err := c.Pull(t.Context(), ref(t, "oci://"+at+"/a:x"))
		requireFailed(t, err, oci.ErrRefused, "only public addresses")
	}
}

func TestRegistryWithPrivateAuthority(t *testing.T) {
	g := registrytest.New()
	server := httptest.NewUnstartedServer(g)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "https://")
	_, err := client().Push(t.Context(), ref(t, "oci://"+host+"/a:x"), module)
	requireFailed(t, err, oci.ErrUnavailable, "certificate is not trusted")
	c := &oci.Client{HTTP: server.Client()}
	_, err = c.Push(t.Context(), ref(t, "oci://"+host+"/a:x"), module)
	require.NoError(t, err)
	got, _, err := c.Pull(t.Context(), ref(t, "oci://"+host+"/a:x"))
	require.NoError(t, err)
	require.Equal(t, module, got)
}
