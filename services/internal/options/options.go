// Package options knows which options of a deploy are for modules alone.
package options

import "github.com/vespo-dev/vespo/registry"

// Refuse lists the options that were asked for and mean nothing to a kind. A kind that knows some of them passes the others.
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
