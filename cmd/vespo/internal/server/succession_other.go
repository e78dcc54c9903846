//go:build !unix

package server

import "os"

// successionSignal returns no channel: no signal asks for a successor.
func successionSignal() (<-chan os.Signal, func()) { return nil, func() {} }
