package lambda

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/internal/arn"
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

// specOf returns the spec of the service's current version.
func (h *Handler) specOf(ctx context.Context, s registry.Service) (services.Spec, error) {
	blob, err := h.cfg.Blob(ctx, s.Current.Digest)
	if err != nil {
		return services.Spec{}, fmt.Errorf("read what the function is made of: %w", err)
	}
	return services.Spec{Prefix: s.Prefix, Kind: s.Current.Kind, Module: blob, Options: s.Current.Options}, nil
}

// validate returns the error that deploying spec would return.
// Middleware is not checked: it is unchanged from the previous version.
func (h *Handler) validate(spec services.Spec) error {
	spec.Options.Use, spec.Options.UseConfig = nil, nil
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
