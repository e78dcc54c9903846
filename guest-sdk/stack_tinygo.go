//go:build tinygo

package guest

// stack returns a placeholder: TinyGo has no stack traces.
func stack() string { return "(no stack in TinyGo)" }
