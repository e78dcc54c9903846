package lambda

import (
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/schema"
)

// What the API knows of the kinds without importing them.
const (
	FieldMemory = fieldMemory
	Bootstrap   = bootstrap
	MaxTimeout  = maxTimeout
)

// FieldsOfPrograms returns the fields of programs that the API knows.
func FieldsOfPrograms() []string { return append(programFields(), fieldConfig, schema.FieldTimeout) }

// Limits and names for tests.
const (
	MaxCodeBytes     = maxCodeBytes
	MaxSettingsBytes = maxSettingsBytes
)

// Record returns what the API keeps about a function outside of its versions.
func (h *Handler) Record(function string) record { return h.book.get(function) }

// SpecOf returns the spec of the service's current version.
func SpecOf(s registry.Service) services.Spec { return specOf(s) }

// UseProgram makes an archive with a program the code of spec.
func (h *Handler) UseProgram(archive []byte, spec *services.Spec) error {
	return h.useProgram(archive, spec, &settings{})
}

// VersionPrefix returns the prefix of a published version.
func VersionPrefix(base routekey.Key, number string) routekey.Key {
	return versionPrefix(base, number)
}

// VersionOf splits the prefix of a published version.
func VersionOf(key routekey.Key) (base routekey.Key, number string, ok bool) {
	return versionOf(key)
}
