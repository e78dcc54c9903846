// Package wat gives the server's demo its modules. What they do is said at the top of their sources, which lie beside them. Tests take
// these and the other guests from package guests.
package wat

import _ "embed"

//go:embed hello.wasm
var hello string

//go:embed echo.wasm
var echo string

//go:embed oom.wasm
var oom string

// Hello greets.
func Hello() []byte { return []byte(hello) }

// Echo answers with what it was sent.
func Echo() []byte { return []byte(echo) }

// OOM takes as many kilobytes of memory as the last path segment says.
func OOM() []byte { return []byte(oom) }
