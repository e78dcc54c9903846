package lambda

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/services"
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
	if s.Timeout != nil && (*s.Timeout < 1 || *s.Timeout > int(maxTimeout.Seconds())) {
		return invalid("Timeout is %d: it must be between 1 and %d seconds", *s.Timeout, int(maxTimeout.Seconds()))
	}
	if s.MemorySize != nil && (*s.MemorySize < 1 || *s.MemorySize > 10240) {
		return invalid("MemorySize is %d: it must be between 1 and 10240", *s.MemorySize)
	}
	return nil
}

// apply copies the settings to the manifest of spec, as far as its kind supports them.
func (h *Handler) apply(s *settings, spec *services.Spec) {
	given := make(map[string]any)
	if s.Timeout != nil {
		given[schema.FieldTimeout] = schema.Period(time.Duration(*s.Timeout) * time.Second)
	}
	if s.MemorySize != nil && spec.Kind != h.cfg.Kinds.Program { // the memory of programs is not limited
		given[fieldMemory] = int64(*s.MemorySize) << 20
	}
	if s.Environment != nil {
		given[fieldConfig] = nil
		if len(s.Environment.Variables) > 0 {
			given[fieldConfig] = s.Environment.Variables
		}
	}
	if h.cfg.Kinds.isProgram(spec.Kind, spec.Manifest) {
		s.tell(given)
	}
	spec.Manifest = schema.With(spec.Manifest, given)
}

// tell adds the settings that a program receives in its environment.
func (s *settings) tell(given map[string]any) {
	if s.MemorySize != nil {
		given[fieldMemorySize] = *s.MemorySize
	}
	if s.Handler != nil {
		given[fieldHandler] = nil
		if *s.Handler != "" {
			given[fieldHandler] = *s.Handler
		}
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
