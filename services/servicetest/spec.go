package servicetest

import (
	"time"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/schema"
)

// Document is the configuration of a service, such as a proxy.Document.
type Document interface{ Encode() registry.Manifest }

// Option sets a field of a spec that services of several kinds have.
type Option func(*services.Spec)

// Spec returns the spec of a service that a document configures.
func Spec(kind, key string, d Document, options ...Option) services.Spec {
	return Manifest(kind, key, d.Encode(), options...)
}

// Manifest returns the spec of a service with a manifest that Encode would perhaps not return.
func Manifest(kind, key string, m registry.Manifest, options ...Option) services.Spec {
	s := services.Spec{Key: routekey.MustParse(key), Kind: kind, Manifest: m}
	for _, set := range options {
		set(&s)
	}
	return s
}

// Module returns the spec of a service with a module.
func Module(kind, key string, module []byte, options ...Option) services.Spec {
	if module == nil {
		module = []byte{} // not one that is read from the catalogue
	}
	s := Manifest(kind, key, registry.EmptyManifest, options...)
	s.Blobs = append(services.Module(module), s.Blobs...)
	s.Blobs[0].Digest = registry.DigestOf(module)
	return s
}

// set returns the option that sets a member of the manifest.
func set(name string, value any) Option {
	return func(s *services.Spec) { s.Manifest = schema.With(s.Manifest, map[string]any{name: value}) }
}

// WithTimeout sets the timeout.
func WithTimeout(d time.Duration) Option { return set(schema.FieldTimeout, schema.Period(d)) }

// WithWorkLimit sets the most work of one request.
func WithWorkLimit(units int64) Option { return set("work_limit", units) }

// WithMemory sets the memory of one request, in bytes.
func WithMemory(sizeBytes int64) Option { return set("memory", sizeBytes) }

// WithWarm sets the requests that run before the snapshot.
func WithWarm(requests string) Option { return set("warm", requests) }

// WithIsolation sets the isolation of requests.
func WithIsolation(name string) Option { return set("isolation", name) }

// WithConfig sets the settings of the guest or the program.
func WithConfig(settings map[string]string) Option { return set("config", settings) }

// WithConfigText sets a text of any bytes in place of settings.
func WithConfigText(text string) Option { return set("config", schema.Settings{Text: text}) }

// WithMiddlewareText sets a text of any bytes in place of the settings of the middleware.
func WithMiddlewareText(text string) Option {
	return set(schema.FieldUseConfig, schema.Settings{Text: text})
}

// WithAllow sets the destinations to which a guest may send requests.
func WithAllow(destinations ...string) Option { return set("allow", destinations) }

// WithMounts sets the directories of a guest, by the path that it sees.
func WithMounts(directories map[string]string) Option { return set("mount", directories) }

// WithKV sets the key-value stores of a guest.
func WithKV(list ...string) Option { return set("kv", list) }

// WithCGIArgs passes the words of the query as arguments.
func WithCGIArgs() Option { return set("cgi_args", true) }

// WithMiddleware puts modules in front of a service, outermost first, with their settings.
func WithMiddleware(settings map[string]string, modules ...[]byte) Option {
	return func(s *services.Spec) {
		for _, module := range modules {
			s.Blobs = append(s.Blobs, services.Blob{
				Field:   schema.FieldUse,
				Digest:  registry.DigestOf(module),
				Content: module,
			})
		}
		if len(settings) > 0 {
			set(schema.FieldUseConfig, settings)(s)
		}
	}
}
