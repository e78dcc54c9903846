package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
)

// config describes a module in a registry.
type config struct {
	Created      time.Time `json:"created"`
	Architecture string    `json:"architecture"`
	OS           string    `json:"os"`
	LayerDigests []string  `json:"layerDigests"`
}

// componentMagic begins a component: version 13 of the format, in the layer of components.
var componentMagic = []byte("\x00asm\x0d\x00\x01\x00")

// system returns the system of a module in manifests.
func system(module []byte) string {
	if bytes.HasPrefix(module, componentMagic) {
		return "wasip2"
	}
	return "wasip1"
}

// Push uploads a module, and tags it. It returns the reference with the digest.
func (c *Client) Push(ctx context.Context, ref Reference, module []byte) (Reference, error) {
	if ref.digest != "" {
		return ref, invalid("the reference %s has a digest, which follows from the content: give a tag alone", ref)
	}
	repo, err := c.repository(ctx, ref)
	if err != nil {
		return ref, err
	}
	layer := content.NewDescriptorFromBytes(typeLayer, module)
	about, err := json.Marshal(config{
		Created:      time.Now().UTC().Truncate(time.Second),
		Architecture: architecture,
		OS:           system(module),
		LayerDigests: []string{string(layer.Digest)},
	})
	if err != nil {
		return ref, err
	}
	described := content.NewDescriptorFromBytes(typeConfig, about)
	manifest, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    described,
		Layers:    []ocispec.Descriptor{layer},
	})
	if err != nil {
		return ref, err
	}
	for _, blob := range []struct {
		ocispec.Descriptor
		content []byte
	}{{layer, module}, {described, about}} {
		if err := pushBlob(ctx, repo, blob.Descriptor, blob.content); err != nil {
			return ref, explain(err, ref)
		}
	}
	top := content.NewDescriptorFromBytes(ocispec.MediaTypeImageManifest, manifest)
	if err := repo.PushReference(ctx, top, bytes.NewReader(manifest), ref.tag); err != nil {
		return ref, explain(err, ref)
	}
	return ref.with(string(top.Digest)), nil
}

// pushBlob uploads a blob unless the repository has it.
func pushBlob(ctx context.Context, repo *remote.Repository, d ocispec.Descriptor, data []byte) error {
	if exists, err := repo.Blobs().Exists(ctx, d); err != nil || exists {
		return err
	}
	return repo.Blobs().Push(ctx, d, bytes.NewReader(data))
}
