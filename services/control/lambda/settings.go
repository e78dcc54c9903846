package lambda

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/schema"
)

// settings are the fields of a request that configure a function, other than
// its code. Settings without a counterpart in this server are rejected by name.
type settings struct {
	Role, Handler, Runtime, Description *string
	Timeout, MemorySize                 *int
	Environment                         *struct{ Variables map[string]string }

	VpcConfig, DeadLetterConfig, KMSKeyArn, TracingConfig, Layers, FileSystemConfigs, ImageConfig, EphemeralStorage, SnapStart,
	CodeSigningConfigArn, CapacityProviderConfig, DurableConfig, TenancyConfig json.RawMessage
}

// check returns an error if a setting is not supported or out of range.
func (s *settings) check() error {
	for name, given := range map[string]json.RawMessage{
		"VpcConfig": s.VpcConfig, "DeadLetterConfig": s.DeadLetterConfig, "KMSKeyArn": s.KMSKeyArn, "TracingConfig": s.TracingConfig,
		"Layers": s.Layers, "FileSystemConfigs": s.FileSystemConfigs, "ImageConfig": s.ImageConfig, "EphemeralStorage": s.EphemeralStorage,
		"SnapStart": s.SnapStart, "CodeSigningConfigArn": s.CodeSigningConfigArn, "CapacityProviderConfig": s.CapacityProviderConfig,
		"DurableConfig": s.DurableConfig, "TenancyConfig": s.TenancyConfig,
	} {
		if text := strings.TrimSpace(string(given)); text != "" && text != "null" && text != "{}" && text != "[]" && text != `""` {
			return invalid("%s is not supported by this server", name)
		}
	}
	if s.Timeout != nil && (*s.Timeout < 1 || *s.Timeout > int(function.MaxTimeout.Seconds())) {
		return invalid("Timeout is %d: it must be between 1 and %d seconds", *s.Timeout, int(function.MaxTimeout.Seconds()))
	}
	if s.MemorySize != nil && (*s.MemorySize < 1 || *s.MemorySize > 10240) {
		return invalid("MemorySize is %d: it must be between 1 and 10240", *s.MemorySize)
	}
	return nil
}

// apply copies the settings to the manifest of spec, as far as its kind supports them.
func (s *settings) apply(spec *services.Spec) {
	given := make(map[string]any)
	if s.Timeout != nil {
		given[schema.FieldTimeout] = schema.Period(time.Duration(*s.Timeout) * time.Second)
	}
	if s.MemorySize != nil && spec.Kind != function.KindName { // the memory of programs is not limited
		given["memory"] = int64(*s.MemorySize) << 20
	}
	if s.Environment != nil {
		given["config"] = nil
		if len(s.Environment.Variables) > 0 {
			given["config"] = s.Environment.Variables
		}
	}
	spec.Manifest = schema.With(spec.Manifest, given)
}

// applied returns the spec of a function with the settings.
func (s *settings) applied(spec services.Spec) services.Spec {
	s.apply(&spec)
	if d, err := documentOf(spec.Manifest); err == nil && spec.Kind == function.KindName && d.Program() {
		s.applyTo(&d)
		spec.Manifest = schema.Merge(d.Encode(), schema.Pick(spec.Manifest, schema.FieldUseConfig))
	}
	return spec
}

// applyTo copies the settings that are passed to a program in its environment.
func (s *settings) applyTo(d *function.Document) {
	if s.MemorySize != nil {
		d.MemorySize = *s.MemorySize
	}
	if s.Handler != nil {
		d.Handler = *s.Handler
	}
}

// keep copies the settings that only the record holds.
func (s *settings) keep(into *record) {
	for from, to := range map[*string]*string{s.Role: &into.Role, s.Handler: &into.Handler, s.Runtime: &into.Runtime, s.Description: &into.Description} {
		if from != nil {
			*to = *from
		}
	}
	if s.MemorySize != nil {
		into.MemorySize = *s.MemorySize
	}
}
