package lambda

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/internal/arn"
	"github.com/vespo-dev/vespo/services/schema"
)

// Every change of this API is one transaction of the catalogue, over services and records. So an answer with an
// error means that nothing was changed.

// errNumber refuses the plan of a version whose number another request took first. The next plan has another one.
var errNumber = errors.New("the number of the version is taken")

// deployment is a change of a function's current version.
type deployment struct {
	name string
	key  routekey.Key
	// build returns the spec, given the current service; the zero Service if there is none.
	build   func(current registry.Service) (services.Spec, error)
	note    func(*record) // changes the record with it; may be nil
	publish bool          // also as the next version
}

// deploy carries a deployment out. It returns the entry of the published version if d publishes, or that of the
// function.
func (h *Handler) deploy(ctx context.Context, d deployment) (deploy.Entry, error) {
	results, err := h.cfg.Catalogue.Transact(ctx, []routekey.Key{d.key}, func(s *registry.State) (deploy.Changes, error) {
		spec, err := d.build(s.Services[d.key])
		if err != nil {
			return deploy.Changes{}, err
		}
		changes := deploy.Changes{Deploy: []services.Spec{spec}}
		if d.note != nil {
			changes.Records = map[string]deploy.Edit{recordOf(d.name): editOf(func(own *record) error { d.note(own); return nil })}
		}
		if !d.publish {
			return changes, nil
		}
		return h.addVersion(changes, s, d, spec)
	})
	if err != nil {
		return deploy.Entry{}, err
	}
	last := results[len(results)-1]
	return deploy.Entry{Service: last.Service, Status: last.Status}, nil
}

// addVersion adds the next version of a function to changes. It has the content of spec.
func (h *Handler) addVersion(changes deploy.Changes, s *registry.State, d deployment, spec services.Spec) (deploy.Changes, error) {
	if spec.Kind == h.cfg.Kinds.Program && !h.cfg.Kinds.isProgram(spec.Kind, spec.Manifest) {
		return changes, invalid("the workers of this function are not the server's to keep: only modules and programs have versions")
	}
	note := d.note
	if note == nil {
		note = func(*record) {}
	}
	own, err := decodeRecord(s.Records[recordOf(d.name)])
	if err != nil {
		return changes, err
	}
	note(&own)
	number := own.LastVersion + 1
	for ; !s.Services[versionPrefix(d.key, strconv.Itoa(number))].Key.IsZero(); number++ { // of a lost record
	}
	version := spec
	version.Manifest = schema.Without(spec.Manifest, schema.FieldCron, schema.FieldCronGrace) // those of the function go on
	version.Key = versionPrefix(d.key, strconv.Itoa(number))
	changes.Deploy = append(changes.Deploy, version)
	changes.Records = map[string]deploy.Edit{recordOf(d.name): editOf(func(own *record) error {
		if note(own); own.LastVersion >= number {
			return errNumber
		}
		own.LastVersion = number
		return nil
	})}
	return changes, nil
}

// edit changes the record of a function. It needs the service of the function and those of the versions to be there
// at the commit.
func (h *Handler) edit(ctx context.Context, name string, needs []routekey.Key, f func(*record) error) error {
	_, err := h.cfg.Catalogue.Transact(ctx, nil, func(*registry.State) (deploy.Changes, error) {
		return deploy.Changes{Require: needs, Records: map[string]deploy.Edit{recordOf(name): editOf(f)}}, nil
	})
	if errors.Is(err, registry.ErrNotFound) {
		return notFound("Function not found: %s", arn.Format(name, ""))
	}
	return err
}

// checkCurrent returns an error if the service to be changed is gone, or if the request expects another revision of
// it.
func checkCurrent(name string, wanted *string, s registry.Service) error {
	switch {
	case s.Key.IsZero():
		return notFound("Function not found: %s", arn.Format(name, ""))
	case wanted != nil && *wanted != "" && *wanted != revisionOf(s):
		return fail(http.StatusPreconditionFailed, "PreconditionFailedException", "The RevisionId provided does not match the latest RevisionId of the function.")
	}
	return nil
}

// specOf returns the spec of the service's current version. Its blobs are in the catalogue.
func specOf(s registry.Service) services.Spec {
	return services.Spec{Key: s.Key, Kind: s.Current.Kind, Manifest: s.Current.Manifest, Blobs: services.StoredBlobs(s.Current)}
}

// validate returns the error that deploying spec would return.
// Middleware is not checked: it is unchanged from the previous version.
func (h *Handler) validate(spec services.Spec) error {
	return h.cfg.Catalogue.Validate(spec.OfKind())
}
