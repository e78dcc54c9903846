package lambda

import (
	"context"
	"log/slog"
	"net/http"
	"slices"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/internal/arn"
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/schema"
)

// checkCurrent returns an error if the service to be changed is gone, or if the request expects another revision of
// it.
func checkCurrent(name string, wanted *string, s registry.Service) error {
	switch {
	case s.Prefix == "":
		return notFound("Function not found: %s", arn.Format(name, ""))
	case wanted != nil && *wanted != "" && *wanted != revisionOf(s):
		return fail(http.StatusPreconditionFailed, "PreconditionFailedException", "The RevisionId provided does not match the latest RevisionId of the function.")
	}
	return nil
}

// specOf returns the spec of the service's current version. Its blobs are in the catalogue.
func specOf(s registry.Service) services.Spec {
	spec := services.Spec{Prefix: s.Prefix, Kind: s.Current.Kind, Manifest: s.Current.Manifest}
	for _, b := range s.Current.Blobs {
		spec.Blobs = append(spec.Blobs, services.Blob{Field: b.Field, Digest: b.Digest})
	}
	return spec
}

// documentOf returns the document of a function.
func documentOf(spec services.Spec) (function.Document, error) {
	return function.Decode(schema.Without(spec.Manifest, schema.FieldUseConfig))
}

// validate returns the error that deploying spec would return.
// Middleware is not checked: it is unchanged from the previous version.
func (h *Handler) validate(spec services.Spec) error {
	spec.Manifest = schema.Without(spec.Manifest, schema.FieldUseConfig)
	spec.Blobs = slices.DeleteFunc(slices.Clone(spec.Blobs), func(b services.Blob) bool { return b.Field == schema.FieldUse })
	return h.cfg.Catalogue.Validate(spec)
}

// deployNoting deploys the spec that build makes from the current service, and changes the function's record: both
// or neither. It writes the record first, and restores it if the deployment fails.
func (h *Handler) deployNoting(
	ctx context.Context, name string, prefix registry.Prefix, note func(*record), build func(registry.Service) (services.Spec, error),
) (deploy.Result, error) {
	before, noted := record{}, false
	result, err := h.cfg.Catalogue.Change(ctx, prefix, func(current registry.Service) (services.Spec, error) {
		spec, err := build(current)
		if err == nil && !noted {
			before = h.book.get(name)
			err = h.book.change(name, func(own *record) error { note(own); return nil })
			noted = err == nil
		}
		return spec, err
	})
	if err == nil || !noted {
		return result, err
	}
	undo := h.book.change(name, func(own *record) error {
		own.Role, own.Handler, own.Runtime, own.Description, own.MemorySize = before.Role, before.Handler, before.Runtime, before.Description, before.MemorySize
		return nil
	})
	if undo != nil {
		h.cfg.Log.Error("the record of a function could not be restored after a failed change", slog.String("function", name), slog.Any("error", undo))
	}
	return result, err
}
