package output

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"
)

// Limits of a Writer.
const (
	// LimitBytes is the most bytes that wait to be written, not counting the batch that is being written.
	LimitBytes = 8 << 20
	// GatherTime is how long lines written by Gather wait for further lines.
	GatherTime = 10 * time.Millisecond
	// NoticeInterval is the least time between two calls of Stalled, and of Resumed.
	NoticeInterval = 10 * time.Second

	gatherBytes = 256 << 10 // this many bytes do not wait for more
	pieceBytes  = 64 << 10  // most bytes of one write, up to the end of a line
	keepBytes   = 1 << 20   // most capacity of a buffer that is reused
	firstRetry  = 10 * time.Millisecond
	lastRetry   = time.Second
)

// Config has the callbacks of a Writer. Each may be nil. They may write to the Writer.
type Config struct {
	// Stalled is called with the error of a failed write, or with
	// nil when a line is dropped because the buffer is full.
	Stalled func(err error)
	// Resumed is called when the file takes lines again.
	// dropped counts since the last call, total since Open.
	Resumed func(dropped, total int64)
}

// Stats are counts of lines since Open.
type Stats struct {
	Lines   int64 // accepted
	Dropped int64
	Waiting int // bytes accepted and not yet written
}

// Writer is an io.Writer that neither fails nor blocks. Each call of Write
// takes one or more whole lines, which are kept or dropped together.
type Writer struct {
	cfg     Config
	file    io.Writer
	now     chan struct{} // capacity 1: write at once
	soon    chan struct{} // capacity 1: write within GatherTime
	closing chan struct{} // closed by Close
	done    chan struct{} // closed when the goroutine has ended
	close   func()

	mu       sync.Mutex
	pending  []byte    // guarded by mu, like all below
	spare    []byte    // buffer of the batch that the goroutine is writing, if it is to be reused
	urgent   bool      // now was signalled for pending
	lines    int64     // accepted
	dropped  int64     // since Open
	told     int64     // part of dropped that Resumed has reported
	writing  int       // bytes left of the batch that the goroutine is writing
	stalled  time.Time // last call of Stalled
	resumed  time.Time // last call of Resumed
	finished bool      // the goroutine writes no further lines
}

// Open returns a Writer and starts its goroutine, which ends with Close.
func Open(file io.Writer, cfg Config) *Writer {
	w := &Writer{
		cfg:     cfg,
		file:    file,
		now:     make(chan struct{}, 1),
		soon:    make(chan struct{}, 1),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
	}
	w.close = sync.OnceFunc(func() { close(w.closing) })
	go w.run()
	return w
}

// Write queues lines to be written as soon as possible.
func (w *Writer) Write(p []byte) (int, error) {
	w.take(p, 0)
	return len(p), nil
}

// Gather queues lines that may wait up to GatherTime for further lines to be written with them.
func (w *Writer) Gather(p []byte) (int, error) {
	w.take(p, gatherBytes)
	return len(p), nil
}

// Gathering returns an io.Writer whose Write is Gather.
func (w *Writer) Gathering() io.Writer { return gathering{w} }

type gathering struct{ w *Writer }

func (g gathering) Write(p []byte) (int, error) { return g.w.Gather(p) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take queues or drops p. It wakes the goroutine: at once
// if atOnce bytes are pending, else within GatherTime.
func (w *Writer) take(p []byte, atOnce int) {
	w.mu.Lock()
	if w.finished || len(w.pending)+len(p) > LimitBytes {
		w.dropped += countLines(p)
		notify := !w.finished && w.stalledLocked()
		w.mu.Unlock()
		if notify {
			w.cfg.Stalled(nil)
		}
		return
	}
	first := len(w.pending) == 0
	w.pending = append(w.pending, p...)
	w.lines += countLines(p)
	urgent := !w.urgent && len(w.pending) >= atOnce
	w.urgent = w.urgent || urgent
	w.mu.Unlock()
	switch {
	case urgent:
		signal(w.now)
	case first:
		signal(w.soon)
	}
}

func countLines(p []byte) int64 { return max(1, int64(bytes.Count(p, []byte("\n")))) }

// stalledLocked reports whether to call Stalled now.
func (w *Writer) stalledLocked() bool {
	now := time.Now()
	if w.cfg.Stalled == nil || !w.stalled.IsZero() && now.Sub(w.stalled) < NoticeInterval {
		return false
	}
	w.stalled = now
	return true
}

// Stats returns the current counts.
func (w *Writer) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Stats{Lines: w.lines, Dropped: w.dropped, Waiting: len(w.pending) + w.writing}
}

// Close writes the pending lines and ends the goroutine. It reports whether
// all lines were written before ctx ended. If the file still blocks by then,
// the goroutine stays in its last write: the process is expected to end.
func (w *Writer) Close(ctx context.Context) bool {
	w.close()
	select {
	case <-w.done:
		return w.Stats().Waiting == 0
	case <-ctx.Done():
		return false
	}
}

// run is the body of the goroutine.
func (w *Writer) run() {
	defer close(w.done)
	gather := time.NewTimer(GatherTime)
	gather.Stop()
	defer gather.Stop()
	for {
		select {
		case <-w.now:
		case <-gather.C:
		case <-w.soon:
			gather.Reset(GatherTime)
			continue
		case <-w.closing:
			w.finish()
			return
		}
		gather.Stop()
		w.flush()
	}
}

// finish writes the pending lines and marks the Writer as finished.
func (w *Writer) finish() {
	if w.flush() {
		w.resume(true)
		w.flush()
	}
	w.mu.Lock()
	w.finished = true
	w.mu.Unlock()
}

// flush writes until nothing is pending. It gives up if the Writer is
// closed and the file takes no data. It reports whether all was written.
func (w *Writer) flush() bool {
	wrote := false
	for {
		batch := w.swap()
		if wrote {
			w.resume(false) // while the buffer has room for a line
		}
		if len(batch) == 0 {
			return true
		}
		if rest := w.writeAll(batch); len(rest) > 0 {
			w.mu.Lock()
			w.pending, w.spare, w.writing = append(rest, w.pending...), nil, 0
			w.mu.Unlock()
			return false
		}
		wrote = true
	}
}

// swap returns the pending lines as a batch, and makes the buffer of the last batch the new pending one.
func (w *Writer) swap() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	batch := w.pending
	w.pending, w.spare = w.spare, nil
	w.writing, w.urgent = len(batch), false
	if cap(batch) <= keepBytes {
		w.spare = batch[:0] // not reused before the next call
	}
	return batch
}

// writeAll writes a batch piece by piece, and retries failed
// writes. It returns the unwritten rest if the Writer is closed.
func (w *Writer) writeAll(batch []byte) (rest []byte) {
	retry := firstRetry
	for len(batch) > 0 {
		n, err := w.file.Write(batch[:pieceEnd(batch)])
		batch = batch[n:]
		w.mu.Lock()
		w.writing = len(batch)
		notify := err != nil && w.stalledLocked()
		w.mu.Unlock()
		if err == nil {
			retry = firstRetry
			continue
		}
		if notify {
			w.cfg.Stalled(err)
		}
		if !w.pause(retry) {
			return batch
		}
		retry = min(2*retry, lastRetry)
	}
	return nil
}

// pieceEnd returns the size of the next piece: as many whole lines as fit, so
// that another writer of the same file does not write into the middle of a line.
func pieceEnd(batch []byte) int {
	if len(batch) <= pieceBytes {
		return len(batch)
	}
	if end := bytes.LastIndexByte(batch[:pieceBytes], '\n'); end >= 0 {
		return end + 1
	}
	return pieceBytes
}

// pause waits before the next attempt. It returns false if the Writer is closed.
func (w *Writer) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-w.closing:
		return false
	}
}

// resume calls Resumed if lines were dropped. Calls are at least NoticeInterval apart, except for the last.
func (w *Writer) resume(last bool) {
	w.mu.Lock()
	now := time.Now()
	dropped, total := w.dropped-w.told, w.dropped
	if dropped == 0 || w.cfg.Resumed == nil || !last && !w.resumed.IsZero() && now.Sub(w.resumed) < NoticeInterval {
		w.mu.Unlock()
		return
	}
	w.told, w.resumed, w.stalled = w.dropped, now, time.Time{}
	w.mu.Unlock()
	w.cfg.Resumed(dropped, total)
}
