// Package options refuses deploy options that only apply to modules.
package options

import "github.com/vespo-dev/vespo/registry"

// Refuse returns a violation for each given option that does not apply to the kind. A
// kind that supports some of them clears those first.
func Refuse(o registry.Options, noun string) (violations []string) {
	for _, option := range [...]struct {
		name  string
		given bool
	}{
		{"memory", o.MemoryBytes != 0},
		{"timeout", o.Timeout != 0},
		{"isolation", o.Isolation != ""},
		{"cgi_args", o.CGIArgs},
		{"allow", len(o.Allow) > 0},
		{"config", len(o.Config) > 0},
		{"mount", len(o.Mounts) > 0},
	} {
		if option.given {
			violations = append(violations, "the option "+option.name+" is for modules, and means nothing to "+noun)
		}
	}
	return violations
}
