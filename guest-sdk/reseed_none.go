//go:build !wasip1 || tinygo

package guest

// runtimeGenerator is not found outside of WebAssembly, where no snapshot repeats it, nor in TinyGo, which has another one.
type runtimeGenerator struct{}

func findRuntimeGenerator() runtimeGenerator    { return runtimeGenerator{} }
func (runtimeGenerator) found() bool            { return false }
func (runtimeGenerator) reseed([seedBytes]byte) {}
