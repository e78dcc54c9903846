package deploy

import (
	"context"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
)

// The functions in this file are the only ones that map specs to versions of the catalogue and back.

// identified returns spec with the digests of its blobs.
func identified(spec services.Spec) services.Spec {
	if spec.Digest == "" {
		spec.Digest = registry.DigestOf(spec.Module)
	}
	spec.Options.Use = digestsOf(spec.Use)
	return spec
}

// versionOf returns the version of an identified spec.
func versionOf(spec services.Spec) registry.Version {
	return registry.Version{
		Digest:    spec.Digest,
		SizeBytes: int64(len(spec.Module)),
		Kind:      spec.Kind,
		Options:   spec.Options,
		Origin:    spec.Origin,
	}
}

// blobsOf returns the contents that the version of spec refers to.
func blobsOf(spec services.Spec) [][]byte { return append([][]byte{spec.Module}, spec.Use...) }

// stored returns the spec of a version in the catalogue.
func (d *Deployer) stored(ctx context.Context, prefix registry.Prefix, v registry.Version) (services.Spec, error) {
	module, err := d.cfg.Registry.Blob(ctx, v.Digest)
	if err != nil {
		return services.Spec{}, err
	}
	use, err := d.storedMiddleware(ctx, v)
	if err != nil {
		return services.Spec{}, err
	}
	return services.Spec{
		Prefix:  prefix,
		Kind:    v.Kind,
		Digest:  v.Digest,
		Module:  module,
		Options: v.Options,
		Use:     use,
		Origin:  v.Origin,
	}, nil
}

// complete reads the middleware modules of a spec that has only their digests.
func (d *Deployer) complete(ctx context.Context, spec services.Spec) (services.Spec, error) {
	if len(spec.Use) > 0 || len(spec.Options.Use) == 0 {
		return spec, nil
	}
	var err error
	if spec.Use, err = d.storedMiddleware(ctx, registry.Version{Options: spec.Options}); err != nil {
		return services.Spec{}, asProblem("read the middleware", err)
	}
	return spec, nil
}

// storedMiddleware reads the middleware modules of a version.
func (d *Deployer) storedMiddleware(ctx context.Context, v registry.Version) (modules [][]byte, err error) {
	for _, digest := range v.Options.Use {
		module, err := d.cfg.Registry.Blob(ctx, digest)
		if err != nil {
			return nil, err
		}
		modules = append(modules, module)
	}
	return modules, nil
}

// putBlobs stores and holds the blobs of a version.
func (d *Deployer) putBlobs(ctx context.Context, spec services.Spec) (release func(), err error) {
	var releases []func()
	release = func() {
		for _, r := range releases {
			r()
		}
	}
	for _, blob := range blobsOf(spec) {
		_, releaseOne, err := d.cfg.Registry.PutBlob(ctx, blob)
		if err != nil {
			release()
			return nil, asProblem("store the module", err)
		}
		releases = append(releases, releaseOne)
	}
	return release, nil
}

func digestsOf(blobs [][]byte) (digests []registry.Digest) {
	for _, blob := range blobs {
		digests = append(digests, registry.DigestOf(blob))
	}
	return digests
}
