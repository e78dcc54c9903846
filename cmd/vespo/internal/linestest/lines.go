// Package linestest collects the output of a server under test.
package linestest

import (
	"context"
	"sync"
)

// Lines collects the output of a server and lets callers wait for a line.
// It is safe for concurrent use.
type Lines struct {
	mu    sync.Mutex
	text  []byte        // guarded by mu
	ended bool          // guarded by mu
	more  chan struct{} // guarded by mu; closed and replaced when there is more
}

// New returns Lines without text.
func New() *Lines { return &Lines{more: make(chan struct{})} }

// Write implements io.Writer.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	close(l.more)
	l.more = make(chan struct{})
	return len(p), nil
}

// End says that no more text comes.
func (l *Lines) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	close(l.more)
	l.more = make(chan struct{})
}

// Await waits until find returns true for the text. It returns false if the text or ctx ends before that.
func (l *Lines) Await(ctx context.Context, find func(text string) bool) bool {
	for {
		l.mu.Lock()
		text, ended, more := string(l.text), l.ended, l.more
		l.mu.Unlock()
		switch {
		case find(text):
			return true
		case ended:
			return false
		}
		select {
		case <-more:
		case <-ctx.Done():
			return false
		}
	}
}

// String returns the text so far.
func (l *Lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
