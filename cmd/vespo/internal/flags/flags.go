// Package flags holds the flags, and the types and limits of flags, that several commands share.
package flags

import "github.com/vespo-dev/vespo/registry"

// MaxModuleBytes is the most that the limit on the size of a module can be.
const MaxModuleBytes = 1 << 30

// Grants are the flags for what a service may use besides its requests: origins, settings and directories.
type Grants struct {
	Allow  []string          `sep:"none" placeholder:"ORIGIN" help:"What the service may call, such as https://api.example.com, or http://NAME.vespo.internal for another service; may be repeated."`
	Config map[string]string `mapsep:"none" placeholder:"NAME=VALUE" help:"A setting or secret that the service can ask for; may be repeated."`
	Mount  map[string]string `mapsep:"none" placeholder:"PATH=DIR" help:"A directory that the service can read: PATH is what it sees, DIR is below the server's --root; may be repeated."`
}

// Options returns the grants as registry options, for a server in this process.
func (g *Grants) Options() registry.Options {
	return registry.Options{Allow: g.Allow, Config: g.Config, Mounts: g.Mount}
}
