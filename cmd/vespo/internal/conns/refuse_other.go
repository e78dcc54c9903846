//go:build !linux

package conns

// Refuse makes the kernel open no further connection, and reports
// whether it does so. It needs a socket filter, so it is for Linux only.
func (l *Listener) Refuse() bool { return false }
