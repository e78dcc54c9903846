// Package wat contains the modules of the server's demo. Their sources in this directory
// describe them. Tests use them and the other guests through package guests.
package wat

import _ "embed"

//go:embed hello.wasm
var hello string

//go:embed echo.wasm
var echo string

//go:embed oom.wasm
var oom string

// Hello returns the module of a greeting.
func Hello() []byte { return []byte(hello) }

// Echo returns a module that echoes the request.
func Echo() []byte { return []byte(echo) }

// OOM returns a module that allocates as many kilobytes of memory as the last path segment says.
func OOM() []byte { return []byte(oom) }
