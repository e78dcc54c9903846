package main

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"
)

// progressInterval is how often the line is written anew.
const progressInterval = 100 * time.Millisecond

// eraseLine goes to the beginning of a terminal's line and clears it.
const eraseLine = "\r\x1b[K"

// progress shows on one line of a terminal how far an upload has come, and then that the server is at work. A nil progress
// shows nothing.
type progress struct {
	w          io.Writer // immutable; written by the goroutine alone until it has ended
	totalBytes int64     // immutable
	work       string    // immutable; what the server does after the upload
	start      time.Time // immutable

	sentBytes atomic.Int64

	stop  chan struct{}
	owned sync.WaitGroup
}

// startProgress starts a goroutine that close ends. A total of 0 means that there is nothing to upload.
func startProgress(w io.Writer, totalBytes int64, work string) *progress {
	p := &progress{w: w, totalBytes: totalBytes, work: work, start: time.Now(), stop: make(chan struct{})}
	p.owned.Go(p.loop)
	return p
}

func (p *progress) loop() {
	ticker := time.NewTicker(progressInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			fmt.Fprint(p.w, eraseLine+p.line(time.Since(p.start)))
		case <-p.stop:
			fmt.Fprint(p.w, eraseLine)
			return
		}
	}
}

// line is what is shown after a time.
func (p *progress) line(elapsed time.Duration) string {
	sent := p.sentBytes.Load()
	if sent >= p.totalBytes {
		return fmt.Sprintf("%s ... %d s", p.work, int(elapsed.Seconds()))
	}
	return fmt.Sprintf("uploading %3d%% of %s", sent*100/p.totalBytes, humanize.IBytes(uint64(p.totalBytes)))
}

// reader counts what is read of r as uploaded.
func (p *progress) reader(r io.Reader) io.Reader {
	if p == nil {
		return r
	}
	return &progressReader{Reader: r, progress: p}
}

// close erases the line. It is to be called once.
func (p *progress) close() {
	if p == nil {
		return
	}
	close(p.stop)
	p.owned.Wait()
}

type progressReader struct {
	io.Reader
	progress *progress
}

// Read implements io.Reader.
func (r *progressReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.progress.sentBytes.Add(int64(n))
	return n, err
}
