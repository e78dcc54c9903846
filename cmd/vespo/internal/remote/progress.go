package remote

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"
)

// progressInterval is the time between updates of the line.
const progressInterval = 100 * time.Millisecond

// eraseLine moves the cursor to the beginning of the line and clears it.
const eraseLine = "\r\x1b[K"

// progress shows on one line of a terminal how much was uploaded,
// and then that the server is working. A nil progress shows nothing.
type progress struct {
	w          io.Writer // immutable; only the goroutine writes to it until it has ended
	totalBytes int64     // immutable
	work       string    // immutable; the server's work after the upload
	start      time.Time // immutable

	sentBytes atomic.Int64

	stop  chan struct{}
	owned sync.WaitGroup
}

// startProgress starts a goroutine that close ends. A total of 0 means that nothing is uploaded.
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

// line returns the text to show after the elapsed time.
func (p *progress) line(elapsed time.Duration) string {
	sent := p.sentBytes.Load()
	if sent >= p.totalBytes {
		return fmt.Sprintf("%s ... %d s", p.work, int(elapsed.Seconds()))
	}
	return fmt.Sprintf("uploading %3d%% of %s", sent*100/p.totalBytes, humanize.IBytes(uint64(p.totalBytes)))
}

// reader returns a reader that counts the bytes read from r as uploaded.
func (p *progress) reader(r io.Reader) io.Reader {
	if p == nil {
		return r
	}
	return &progressReader{Reader: r, progress: p}
}

// close erases the line. It must be called once.
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
