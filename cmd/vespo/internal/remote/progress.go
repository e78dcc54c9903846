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

// work names what a server or a compiler does, while it does it and after.
type work struct {
	doing string // such as "compiling"
	done  string // such as "compiled"; "" if its time does not matter
}

// progress measures the steps of a deploy. On a terminal, it shows on one line what goes on: how much was uploaded,
// and then the work of the server.
type progress struct {
	totalBytes int64     // immutable; 0: nothing is uploaded
	work       work      // immutable; after the upload
	start      time.Time // immutable

	sentBytes atomic.Int64
	uploaded  atomic.Int64 // nanoseconds from start until all bytes were sent; 0: not yet

	line *liveLine // immutable; nil: it is not shown
}

// startProgress starts the clock. If w is not nil, it starts a goroutine too, which close ends.
func startProgress(w io.Writer, totalBytes int64, work work) *progress {
	p := &progress{totalBytes: totalBytes, work: work, start: time.Now()}
	if w != nil {
		p.line = startLine(w, p.text)
	}
	return p
}

// text describes what goes on.
func (p *progress) text() string {
	sent := p.sentBytes.Load()
	if sent >= p.totalBytes {
		return fmt.Sprintf("%s ... %d s", p.work.doing, int(time.Since(p.start).Seconds()))
	}
	return fmt.Sprintf("uploading %3d%% of %s", sent*100/p.totalBytes, humanize.IBytes(uint64(p.totalBytes)))
}

// reader returns a reader that counts the bytes read from r as uploaded.
func (p *progress) reader(r io.Reader) io.Reader { return &progressReader{Reader: r, progress: p} }

func (p *progress) sent(n int) {
	if p.sentBytes.Add(int64(n)) >= p.totalBytes {
		p.uploaded.CompareAndSwap(0, int64(time.Since(p.start)))
	}
}

// close erases the line and returns a text with the times of the steps, "" if there were none that matter. It must be
// called once.
func (p *progress) close() string {
	p.line.close()
	if p.work.done == "" {
		return ""
	}
	uploaded := time.Duration(p.uploaded.Load())
	text := p.work.done + " in " + seconds(time.Since(p.start)-uploaded)
	if p.totalBytes == 0 {
		return text
	}
	return fmt.Sprintf("uploaded %s in %s, %s", humanize.IBytes(uint64(p.totalBytes)), seconds(uploaded), text)
}

// seconds formats the time of a step.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

type progressReader struct {
	io.Reader
	progress *progress
}

// Read implements io.Reader.
func (r *progressReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.progress.sent(n)
	return n, err
}

// liveLine is the last line of a terminal, written anew every progressInterval. Other text goes above it.
type liveLine struct {
	text  func() string // immutable
	stop  chan struct{}
	owned sync.WaitGroup

	mu    sync.Mutex
	w     io.Writer // guarded by mu
	shown bool      // guarded by mu; the line is on the terminal
	split bool      // guarded by mu; other text has begun a line and not ended it
}

// startLine starts a goroutine that close ends.
func startLine(w io.Writer, text func() string) *liveLine {
	l := &liveLine{text: text, stop: make(chan struct{}), w: w}
	l.owned.Go(l.loop)
	return l
}

func (l *liveLine) loop() {
	ticker := time.NewTicker(progressInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			l.draw()
		case <-l.stop:
			return
		}
	}
}

func (l *liveLine) draw() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.split {
		fmt.Fprint(l.w, eraseLine+l.text())
		l.shown = true
	}
}

// Write writes other text to the terminal. Write errors are returned.
func (l *liveLine) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.erase()
	if len(p) > 0 {
		l.split = p[len(p)-1] != '\n'
	}
	return l.w.Write(p)
}

// erase erases the line. The caller holds mu.
func (l *liveLine) erase() {
	if l.shown {
		fmt.Fprint(l.w, eraseLine)
		l.shown = false
	}
}

// close erases the line. It must be called once, and does nothing on nil.
func (l *liveLine) close() {
	if l == nil {
		return
	}
	close(l.stop)
	l.owned.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.erase()
}
