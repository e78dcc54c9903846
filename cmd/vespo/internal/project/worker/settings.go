package worker

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services/kv"
)

// Settings describe a worker: its script, and the bindings of its environment. All members are optional.
type Settings struct {
	// Main is the file with the default export. If empty, it is the first of Mains that exists.
	Main string `json:"main"`
	// Vars are variables. A setting of the service with the same name takes precedence.
	Vars map[string]json.RawMessage `json:"vars"`
	// KV are key-value stores of the server, by the names of their bindings.
	KV map[string]string `json:"kv"`
	// Services are other services of the server, by the names of their bindings.
	Services map[string]string `json:"services"`
	// Assets are files that are served beside the script.
	Assets *AssetSettings `json:"assets"`
}

// AssetSettings describe static assets.
type AssetSettings struct {
	Directory   string `json:"directory"`
	Binding     string `json:"binding"`
	NotFound    string `json:"not_found_handling"` // a value of notFoundModes; "" is "none"
	WorkerFirst bool   `json:"run_worker_first"`
}

// notFoundModes returns what an asset that does not exist can be answered with.
func notFoundModes() []string { return []string{"none", "404-page", "single-page-application"} }

// Members returns the names of the members of the settings and of their assets.
func Members() []string {
	return []string{"main", "vars", "kv", "services", "assets", "directory", "binding", "not_found_handling", "run_worker_first"}
}

// Mains returns where the script is searched for, in this order.
func Mains() []string {
	return []string{"src/index.ts", "src/index.js", "src/worker.ts", "src/worker.js", "index.ts", "index.js"}
}

// Check returns an error that names the first member that is wrong.
func (s *Settings) Check() error {
	if s.Main != "" && !filepath.IsLocal(s.Main) {
		return fmt.Errorf("worker.main is %q: it must be a file below the project's directory", s.Main)
	}
	names := map[string]string{} // of bindings: the member that has them
	for _, member := range []struct {
		name string
		keys []string
	}{
		{"vars", slices.Sorted(maps.Keys(s.Vars))},
		{"kv", slices.Sorted(maps.Keys(s.KV))},
		{"services", slices.Sorted(maps.Keys(s.Services))},
		{"assets", s.Assets.bindings()},
	} {
		for _, name := range member.keys {
			if name == "" {
				return fmt.Errorf("worker.%s has an empty name", member.name)
			}
			if other := names[name]; other != "" {
				return fmt.Errorf("worker.%s and worker.%s both have %q", other, member.name, name)
			}
			names[name] = member.name
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Services)) {
		if prefix, err := routekey.ParsePrefix(s.Services[name]); err != nil || prefix == "/" {
			return fmt.Errorf("worker.services.%s is %q: it must be the prefix of a service other than /", name, s.Services[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.KV)) {
		if err := kv.CheckName(s.KV[name]); err != nil {
			return fmt.Errorf("worker.kv.%s: %w", name, err)
		}
	}
	return s.Assets.check()
}

func (a *AssetSettings) bindings() []string {
	if a == nil || a.Binding == "" {
		return nil
	}
	return []string{a.Binding}
}

func (a *AssetSettings) check() error {
	switch {
	case a == nil:
		return nil
	case !filepath.IsLocal(a.Directory):
		return fmt.Errorf("worker.assets.directory is %q: it must be a directory below the project's", a.Directory)
	case a.NotFound != "" && !slices.Contains(notFoundModes(), a.NotFound):
		return fmt.Errorf("worker.assets.not_found_handling is %q: it must be one of %s", a.NotFound, strings.Join(notFoundModes(), ", "))
	}
	return nil
}

// Origins returns the origins that the worker calls by its service bindings, sorted.
func (s *Settings) Origins() []string {
	var origins []string
	for _, service := range s.Services {
		origins = append(origins, "http://"+host(service))
	}
	slices.Sort(origins)
	return slices.Compact(origins)
}

// Stores returns the key-value stores that the worker uses, sorted.
func (s *Settings) Stores() []string {
	return slices.Compact(slices.Sorted(maps.Values(s.KV)))
}

// host returns the name of a service as a host: "a/b" is b.a.vespo.internal.
func host(service string) string {
	segments := strings.Split(strings.Trim(service, "/"), "/")
	slices.Reverse(segments)
	return strings.Join(segments, ".") + ".vespo.internal"
}
