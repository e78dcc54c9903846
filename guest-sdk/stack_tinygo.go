//go:build tinygo

package guest

// stack is not to be had in TinyGo.
func stack() string { return "(no stack in TinyGo)" }
