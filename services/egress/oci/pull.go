package oci

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
)

// Media types of manifests and layers.
const (
	typeConfig = "application/vnd.wasm.config.v0+json"
	typeLayer  = "application/wasm"

	typeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	typeDockerIndex    = "application/vnd.docker.distribution.manifest.list.v2+json"
	architecture       = "wasm"
)

// wasmLayer reports whether a layer of the type is a module. The types besides application/wasm are those of wasm-to-oci
// and Spin, of wasmCloud before it followed the TAG, and of runwasi.
func wasmLayer(mediaType string) bool {
	return slices.Contains([]string{
		typeLayer,
		"application/vnd.wasm.content.layer.v1+wasm",
		"application/vnd.module.wasm.content.layer.v1+wasm",
		"application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
	}, mediaType)
}

// Pull returns the module of a reference, and the reference with the digest that it was resolved to.
func (c *Client) Pull(ctx context.Context, ref Reference) (module []byte, resolved Reference, err error) {
	repo, err := c.repository(ctx, ref)
	if err != nil {
		return nil, ref, err
	}
	found, err := repo.Resolve(ctx, ref.asked())
	if err != nil {
		return nil, ref, explain(err, ref)
	}
	resolved = ref.with(string(found.Digest))
	manifest, err := c.manifest(ctx, repo, resolved, found)
	if err != nil {
		return nil, ref, explain(err, ref)
	}
	layer, err := layerOf(resolved, manifest)
	switch {
	case err != nil:
		return nil, ref, err
	case layer.Size > c.maxBytes():
		return nil, ref, failed(ErrTooLarge, ref, "has a module of %d bytes: at most %d are taken", layer.Size, c.maxBytes())
	case layer.Size <= 0:
		return nil, ref, failed(ErrUnavailable, ref, "has an empty module")
	}
	body, err := repo.Blobs().Fetch(ctx, layer)
	if err != nil {
		return nil, ref, explain(err, ref)
	}
	defer body.Close()
	module, err = content.ReadAll(body, layer)
	if err != nil {
		return nil, ref, explain(err, ref)
	}
	return module, resolved, nil
}

// manifest returns the manifest of a module. In an index, it is the one for WebAssembly.
func (c *Client) manifest(ctx context.Context, repo *remote.Repository, ref Reference, found ocispec.Descriptor) (m ocispec.Manifest, err error) {
	if found.MediaType == ocispec.MediaTypeImageIndex || found.MediaType == typeDockerIndex {
		var index ocispec.Index
		if err := document(ctx, repo, ref, found, &index); err != nil {
			return m, err
		}
		if found, err = manifestOf(ref, index); err != nil {
			return m, err
		}
	}
	if found.MediaType != ocispec.MediaTypeImageManifest && found.MediaType != typeDockerManifest {
		return m, failed(ErrUnavailable, ref, "has a manifest of the type %.100q, which is not supported", found.MediaType)
	}
	return m, document(ctx, repo, ref, found, &m)
}

// document reads a manifest or an index into v.
func document(ctx context.Context, repo *remote.Repository, ref Reference, d ocispec.Descriptor, v any) error {
	if d.Size <= 0 || d.Size > maxManifestBytes {
		return failed(ErrUnavailable, ref, "has a manifest of %d bytes: at most %d are read", d.Size, maxManifestBytes)
	}
	body, err := repo.Manifests().Fetch(ctx, d)
	if err != nil {
		return err
	}
	defer body.Close()
	text, err := content.ReadAll(body, d)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return failed(ErrUnavailable, ref, "has a malformed manifest")
	}
	return nil
}

// manifestOf returns the one manifest of an index that is for WebAssembly, or its only one.
func manifestOf(ref Reference, index ocispec.Index) (ocispec.Descriptor, error) {
	var wasm []ocispec.Descriptor
	var platforms []string
	for _, d := range index.Manifests {
		platform := "none"
		if p := d.Platform; p != nil {
			platform = p.OS + "/" + p.Architecture
		}
		platforms = append(platforms, platform)
		if d.Platform != nil && d.Platform.Architecture == architecture || d.ArtifactType == typeConfig {
			wasm = append(wasm, d)
		}
	}
	if len(wasm) == 0 && len(index.Manifests) == 1 {
		wasm = index.Manifests
	}
	if len(wasm) != 1 {
		return ocispec.Descriptor{}, failed(ErrUnavailable, ref,
			"is an index with %d manifests for WebAssembly, of the platforms %.300s: name one by its digest", len(wasm), strings.Join(platforms, ", "))
	}
	return wasm[0], nil
}

// layerOf returns the layer that is the module.
func layerOf(ref Reference, m ocispec.Manifest) (ocispec.Descriptor, error) {
	var wasm []ocispec.Descriptor
	var types []string
	for _, d := range m.Layers {
		types = append(types, d.MediaType)
		if wasmLayer(d.MediaType) {
			wasm = append(wasm, d)
		}
	}
	if len(wasm) != 1 {
		return ocispec.Descriptor{}, failed(ErrUnavailable, ref,
			"has %d layers that are modules, and one is needed: its layers are %.300s", len(wasm), strings.Join(types, ", "))
	}
	return wasm[0], nil
}
