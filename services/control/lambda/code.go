package lambda

import (
	"net/http"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/internal/arn"
)

// codeRequest is the part of a request that specifies code. Unsupported sources are rejected by name.
type codeRequest struct {
	ZipFile                                    []byte
	S3Bucket, S3Key, S3ObjectVersion, ImageUri string
	SourceKMSKeyArn                            string
	Publish, DryRun                            bool
	RevisionId                                 *string
	Architectures                              []string
}

func (c *codeRequest) check() error {
	for name, given := range map[string]string{"S3Bucket": c.S3Bucket, "S3Key": c.S3Key, "S3ObjectVersion": c.S3ObjectVersion,
		"ImageUri": c.ImageUri, "SourceKMSKeyArn": c.SourceKMSKeyArn} {
		if given != "" {
			return invalid("%s is not supported by this server: send the code as ZipFile", name)
		}
	}
	if len(c.ZipFile) == 0 {
		return invalid("ZipFile is missing: send the code as a zip archive that holds a module (*.wasm) or a program called bootstrap")
	}
	for _, a := range c.Architectures {
		if a != architecture() {
			return invalid("Architectures has %.20q: this server is %s", a, architecture())
		}
	}
	return nil
}

func (h *Handler) createFunction(w http.ResponseWriter, r *request) error {
	var in struct {
		settings
		FunctionName, PackageType string
		Code                      codeRequest
		Publish                   bool
		Architectures             []string
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	ref, err := arn.Parse(in.FunctionName)
	if err != nil || ref.Qualifier != "" {
		return invalid("the function name %.200q is not one", in.FunctionName)
	}
	prefix, err := routekey.ParsePrefix("/" + ref.Name)
	if err != nil {
		return invalid("the function name %.200q cannot be a path prefix: %s", ref.Name, err)
	}
	if in.PackageType != "" && in.PackageType != "Zip" {
		return invalid("PackageType is %.20q: this server takes Zip alone", in.PackageType)
	}
	in.Code.Architectures = in.Architectures
	if err := firstError(in.check(), in.Code.check()); err != nil {
		return err
	}
	created, err := h.deploy(r.Context(), deployment{
		name:    ref.Name,
		key:     routekey.Key{Prefix: prefix},
		note:    func(own *record) { *own = record{}; in.keep(own) },
		publish: in.Publish,
		build: func(current registry.Service) (services.Spec, error) {
			if !current.Key.IsZero() {
				return services.Spec{}, fail(http.StatusConflict, "ResourceConflictException", "Function already exist: %s", ref.Name)
			}
			spec := services.Spec{Key: routekey.Key{Prefix: prefix}}
			err := h.unpack(in.Code.ZipFile, &spec, &in.settings)
			return spec, err
		},
	})
	if err != nil {
		return err
	}
	return h.answerDeployed(w, http.StatusCreated, ref.Name, created)
}

// answerDeployed answers with the configuration of a deployed function or version.
func (h *Handler) answerDeployed(w http.ResponseWriter, status int, name string, e deploy.Entry) error {
	version := arn.Latest
	if _, number, ok := versionOf(e.Service.Key); ok {
		version = number
	}
	return answerJSON(w, status, h.describe(e, name, version))
}

// firstError returns the first error that is not nil.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (h *Handler) updateCode(w http.ResponseWriter, r *request) error {
	name, e, err := h.named(r)
	if err != nil {
		return err
	}
	var in codeRequest
	if err := decode(r, &in); err != nil {
		return err
	}
	if err := in.check(); err != nil {
		return err
	}
	build := func(current registry.Service) (spec services.Spec, err error) {
		if err := checkCurrent(name, in.RevisionId, current); err != nil {
			return spec, err
		}
		spec = specOf(current)
		err = h.unpack(in.ZipFile, &spec, &settings{})
		return spec, err
	}
	if in.DryRun {
		spec, err := build(e.Service)
		if err == nil {
			err = h.validate(spec)
		}
		if err != nil {
			return err
		}
		return h.answerDeployed(w, http.StatusOK, name, e)
	}
	changed, err := h.deploy(r.Context(), deployment{name: name, key: e.Service.Key, build: build, publish: in.Publish})
	if err != nil {
		return err
	}
	status := http.StatusOK
	if in.Publish {
		status = http.StatusCreated
	}
	return h.answerDeployed(w, status, name, changed)
}
