package abi

import "io"

// Source is a stream of bytes that can be polled as well as waited for. One goroutine at a time uses it. If it has a method
// Waits() bool, that reports whether Read may wait.
type Source interface {
	// Read waits for at least one byte, the end or an error.
	io.Reader
	// Ready returns a channel that is closed as soon as Read does not wait. It may begin to read ahead. Most
	// guests never poll, so it is called only if one does. A host function waits for it with Instance.Await.
	Ready() <-chan struct{}
}

// Arrived returns a Source of data that has arrived, so that reads do not wait.
func Arrived(data io.Reader) Source { return arrived{data} }

type arrived struct{ io.Reader }

// Waits implements Source.
func (arrived) Waits() bool { return false }

// MayWait reports whether reads may wait, as far as the reader knows.
func MayWait(r io.Reader) bool {
	w, ok := r.(interface{ Waits() bool })
	return !ok || w.Waits()
}

// Ready implements Source.
func (arrived) Ready() <-chan struct{} {
	now := make(chan struct{})
	close(now)
	return now
}
