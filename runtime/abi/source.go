package abi

import "io"

// Source is a stream of bytes that can be polled as well as waited for. One goroutine at a time uses it.
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

// Ready implements Source.
func (arrived) Ready() <-chan struct{} {
	now := make(chan struct{})
	close(now)
	return now
}
