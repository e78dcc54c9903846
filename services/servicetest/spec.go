package servicetest

import (
	"time"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
)

// Document is the configuration of a service without a module, such as a proxy.Document.
type Document interface{ Encode() []byte }

// Option sets a field of a spec that services of several kinds have.
type Option func(*services.Spec)

// Spec returns the spec of a service that a document configures.
func Spec(kind, key string, d Document, options ...Option) services.Spec {
	return Module(kind, key, d.Encode(), options...)
}

// Module returns the spec of a service with a module, or with a document that Encode would not return.
func Module(kind, key string, module []byte, options ...Option) services.Spec {
	s := services.Spec{Prefix: registry.Prefix(key), Kind: kind, Digest: registry.DigestOf(module), Module: module}
	for _, set := range options {
		set(&s)
	}
	return s
}

// WithTimeout sets the timeout.
func WithTimeout(d time.Duration) Option { return func(s *services.Spec) { s.Options.Timeout = d } }

// WithMemory sets the memory of one request, in bytes.
func WithMemory(sizeBytes int64) Option {
	return func(s *services.Spec) { s.Options.MemoryBytes = sizeBytes }
}

// WithIsolation sets the isolation of requests.
func WithIsolation(name string) Option { return func(s *services.Spec) { s.Options.Isolation = name } }

// WithConfig sets the settings of the guest or the program.
func WithConfig(settings map[string]string) Option {
	return func(s *services.Spec) { s.Options.Config = settings }
}

// WithAllow sets the destinations to which a guest may send requests.
func WithAllow(destinations ...string) Option {
	return func(s *services.Spec) { s.Options.Allow = destinations }
}

// WithMounts sets the directories of a guest, by the path that it sees.
func WithMounts(directories map[string]string) Option {
	return func(s *services.Spec) { s.Options.Mounts = directories }
}

// WithCGIArgs passes the words of the query as arguments.
func WithCGIArgs() Option { return func(s *services.Spec) { s.Options.CGIArgs = true } }

// WithMiddleware puts modules in front of a service, outermost first, with their settings.
func WithMiddleware(settings map[string]string, modules ...[]byte) Option {
	return func(s *services.Spec) {
		s.Use, s.Options.UseConfig = modules, settings
		for _, m := range modules {
			s.Options.Use = append(s.Options.Use, registry.DigestOf(m))
		}
	}
}
