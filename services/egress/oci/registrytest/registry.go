// Package registrytest is a registry in memory for tests, which can misbehave.
package registrytest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Registry is a registry in memory. Its fields make it misbehave. Set them before requests.
type Registry struct {
	mu        sync.Mutex
	Blobs     map[string][]byte // by digest
	Manifests map[string][]byte // by tag and digest
	Types     map[string]string // of manifests
	uploads   int

	User, Password string                   // of Basic authentication; empty: none
	Bearer         string                   // token of Bearer authentication, fetched with user and password
	Alter          func(data []byte) []byte // of the content of blobs
	BlobsAt        string                   // redirects blobs to another server
}

// New returns an empty registry.
func New() *Registry {
	return &Registry{Blobs: map[string][]byte{}, Manifests: map[string][]byte{}, Types: map[string]string{}}
}

// DigestOf returns the digest of data.
func DigestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Blob adds a blob.
func (g *Registry) Blob(data []byte) string {
	g.Blobs[DigestOf(data)] = data
	return DigestOf(data)
}

// Manifest adds a manifest under a tag and its digest.
func (g *Registry) Manifest(tag, mediaType, text string) string {
	data := []byte(text)
	for _, name := range []string{tag, DigestOf(data)} {
		g.Manifests[name], g.Types[name] = data, mediaType
	}
	return DigestOf(data)
}

// ServeHTTP implements http.Handler.
func (g *Registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.URL.Path == "/token" {
		if user, password, _ := r.BasicAuth(); user != g.User || password != g.Password {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"token": %q}`, g.Bearer)
		return
	}
	if !g.allowed(w, r) {
		return
	}
	name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	switch {
	case r.URL.Path == "/v2/":
	case strings.Contains(r.URL.Path, "/manifests/"):
		g.serveManifest(w, r, name)
	case strings.HasSuffix(r.URL.Path, "/blobs/uploads/") && r.Method == http.MethodPost:
		g.uploads++
		w.Header().Set("Location", fmt.Sprintf("%s%d", r.URL.Path, g.uploads))
		w.WriteHeader(http.StatusAccepted)
	case strings.Contains(r.URL.Path, "/blobs/uploads/") && r.Method == http.MethodPut:
		data, _ := io.ReadAll(r.Body)
		g.Blob(data)
		w.WriteHeader(http.StatusCreated)
	default:
		g.serveBlob(w, r, name)
	}
}

// allowed answers requests without the right credentials.
func (g *Registry) allowed(w http.ResponseWriter, r *http.Request) bool {
	user, password, _ := r.BasicAuth()
	switch {
	case g.User == "":
		return true
	case g.Bearer != "" && r.Header.Get("Authorization") == "Bearer "+g.Bearer:
		return true
	case g.Bearer != "":
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test",scope="repository:a:pull,push"`, r.Host))
	case user == g.User && password == g.Password:
		return true
	default:
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
	}
	w.WriteHeader(http.StatusUnauthorized)
	return false
}

func (g *Registry) serveManifest(w http.ResponseWriter, r *http.Request, name string) {
	if r.Method == http.MethodPut {
		data, _ := io.ReadAll(r.Body)
		g.Manifest(name, r.Header.Get("Content-Type"), string(data))
		w.WriteHeader(http.StatusCreated)
		return
	}
	data, ok := g.Manifests[name]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", g.Types[name])
	w.Header().Set("Docker-Content-Digest", DigestOf(data))
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(data)
	}
}

func (g *Registry) serveBlob(w http.ResponseWriter, r *http.Request, name string) {
	data, ok := g.Blobs[name]
	switch {
	case !ok:
		w.WriteHeader(http.StatusNotFound)
		return
	case g.BlobsAt != "":
		http.Redirect(w, r, g.BlobsAt+r.URL.Path, http.StatusTemporaryRedirect)
		return
	case g.Alter != nil:
		data = g.Alter(data)
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(data)
	}
}
