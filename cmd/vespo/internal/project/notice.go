package project

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// noticeDelay is how long a command may run without output before the user is told what runs.
const noticeDelay = 5 * time.Second

// notice is the writer of a command's output. It adds a line if the command runs for noticeDelay without any.
type notice struct {
	timer *time.Timer // immutable

	mu  sync.Mutex
	w   io.Writer // guarded by mu
	off bool      // guarded by mu; there was output, or the command has ended
}

// startNotice starts a timer, which stop stops. text is the line.
func startNotice(w io.Writer, text string) *notice {
	n := &notice{w: w}
	n.timer = time.AfterFunc(noticeDelay, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if !n.off {
			fmt.Fprintln(n.w, text)
		}
	})
	return n
}

// Write implements io.Writer.
func (n *notice) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.off = true
	return n.w.Write(p)
}

func (n *notice) stop() {
	n.timer.Stop()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.off = true
}
