//go:build !wasip1 || tinygo

package guest

// runtimeGenerator is a stub. Outside WebAssembly there is no snapshot, and TinyGo's runtime has a different generator.
type runtimeGenerator struct{}

func findRuntimeGenerator() runtimeGenerator { return runtimeGenerator{} }
func (runtimeGenerator) found() bool         { return false }
func (runtimeGenerator) reseed()             {}
