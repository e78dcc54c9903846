package lambda

import (
	"context"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
)

// Limits and names for tests.
const (
	BookName         = bookName
	MaxCodeBytes     = maxCodeBytes
	MaxSettingsBytes = maxSettingsBytes
)

// Record returns what the API keeps about a function outside of its versions.
func (h *Handler) Record(function string) record { return h.book.get(function) }

// SpecOf returns the spec of the service's current version.
func SpecOf(s registry.Service) services.Spec { return specOf(s) }

// CollectOnce deletes unused programs.
func (h *Handler) CollectOnce(ctx context.Context) error { return h.collectOnce(ctx) }
