package deploy

import (
	"context"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/schema"
)

// The functions in this file are the only ones that map specs to versions of the catalogue and back.

// identified returns spec with its blobs in the order of a version, and the digests of both.
func (d *Deployer) identified(spec services.Spec) services.Spec {
	spec.Blobs = slices.Clone(spec.Blobs)
	slices.SortStableFunc(spec.Blobs, func(a, b services.Blob) int { return strings.Compare(a.Field, b.Field) })
	for i, b := range spec.Blobs {
		if b.Digest == "" {
			spec.Blobs[i].Digest = registry.DigestOf(b.Content)
		}
	}
	if spec.Manifest == "" {
		spec.Manifest = registry.EmptyManifest
	}
	spec.Version = d.logged(versionOf(spec))
	return spec
}

// logged returns the digest of a version for logs: that of the module or, without one, of the manifest. It does not
// cover secrets, which a reader of the logs could guess and compare.
func (d *Deployer) logged(v registry.Version) registry.Digest {
	if own := v.BlobsOf(schema.FieldModule); len(own) > 0 {
		return own[0]
	}
	secret := []string{schema.FieldUseConfig}
	if kind, ok := d.kinds[v.Kind]; ok {
		for _, f := range (schema.Kinds{kind.Describe()}).Fields() {
			if f.Secret {
				secret = append(secret, f.Name)
			}
		}
	}
	return registry.DigestOf([]byte(schema.Without(v.Manifest, secret...)))
}

// versionOf returns the version of an identified spec.
func versionOf(spec services.Spec) registry.Version {
	v := registry.Version{Kind: spec.Kind, Manifest: spec.Manifest, Origin: spec.Origin, Note: spec.Note}
	for _, b := range spec.Blobs {
		v.Blobs = append(v.Blobs, registry.Blob{Field: b.Field, Digest: b.Digest, SizeBytes: b.Size()})
	}
	return v
}

// stored returns the spec of a version in the catalogue.
func (d *Deployer) stored(ctx context.Context, key routekey.Key, v registry.Version) (services.Spec, error) {
	return d.complete(ctx, d.described(key, v))
}

// described is stored without the content of the blobs.
func (d *Deployer) described(key routekey.Key, v registry.Version) services.Spec {
	return services.Spec{
		Key:      key,
		Kind:     v.Kind,
		Manifest: v.Manifest,
		Blobs:    services.StoredBlobs(v),
		Version:  d.logged(v),
		Origin:   v.Origin,
		Note:     v.Note,
	}
}

// complete reads the content of the blobs of which spec has only the digests.
func (d *Deployer) complete(ctx context.Context, spec services.Spec) (services.Spec, error) {
	spec.Blobs = slices.Clone(spec.Blobs)
	for i, b := range spec.Blobs {
		if b.Content != nil || b.Digest == "" {
			continue
		}
		content, err := d.cfg.Registry.Blob(ctx, b.Digest)
		if err != nil {
			return services.Spec{}, asProblem("read the modules of the version", err)
		}
		spec.Blobs[i].Content = content
	}
	return spec, nil
}

// withContent returns spec with the content of the blobs that it can read.
func withContent(spec services.Spec) (services.Spec, error) {
	spec.Blobs = slices.Clone(spec.Blobs)
	for i, b := range spec.Blobs {
		if b.Content != nil || b.Read == nil {
			continue
		}
		content, err := b.Read()
		if err != nil {
			return services.Spec{}, err
		}
		spec.Blobs[i].Content = content
	}
	return spec, nil
}

// putBlobs stores and holds the blobs of a version.
func (d *Deployer) putBlobs(ctx context.Context, spec services.Spec) (release func(), err error) {
	var releases []func()
	release = func() {
		for _, r := range releases {
			r()
		}
	}
	for _, b := range spec.Blobs {
		_, releaseOne, err := d.cfg.Registry.PutBlob(ctx, b.Content)
		if err != nil {
			release()
			return nil, asProblem("store the module", err)
		}
		releases = append(releases, releaseOne)
	}
	return release, nil
}

// layers returns the number of middleware modules of a version.
func layers(v registry.Version) int { return len(v.BlobsOf(schema.FieldUse)) }
