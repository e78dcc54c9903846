package output

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"
)

// Bounds of a Writer.
const (
	// LimitBytes is the most that waits to be written, besides the piece that is being written.
	LimitBytes = 1 << 20
	// GatherTime is how long lines written by Gather wait for others.
	GatherTime = 10 * time.Millisecond
	// NoticeInterval is the least time between two calls of Stalled, and of Resumed.
	NoticeInterval = 10 * time.Second

	gatherBytes = 32 << 10  // that do not wait for others
	pieceBytes  = 64 << 10  // written at a time, to the end of a line
	keepBytes   = 256 << 10 // the capacity that an empty buffer keeps
	firstRetry  = 10 * time.Millisecond
	lastRetry   = time.Second
)

// Config has the functions that a Writer reports to. Each may be nil. They may write to the Writer.
type Config struct {
	// Stalled is called when a write has failed with err, or, with nil, when a line is dropped because the file takes none.
	Stalled func(err error)
	// Resumed is called when the file takes lines again, with the number of lines dropped since the last call and since Open.
	Resumed func(dropped, total int64)
}

// Stats counts the lines of a Writer since Open.
type Stats struct {
	Lines   int64 // accepted
	Dropped int64
	Waiting int // bytes accepted and not yet written
}

// Writer is an io.Writer that neither fails nor blocks. Each call of Write is one or more whole lines, which are kept or dropped together.
type Writer struct {
	cfg     Config
	file    io.Writer
	now     chan struct{} // holds one: write at once
	soon    chan struct{} // holds one: write within GatherTime
	closing chan struct{} // closed by Close
	done    chan struct{} // closed when the goroutine has ended
	close   func()

	mu       sync.Mutex
	pending  []byte    // guarded by mu, as all below
	spare    []byte    // the buffer of the batch that the goroutine holds, if it is to be kept
	urgent   bool      // the goroutine was told to write pending at once
	lines    int64     // accepted
	dropped  int64     // since Open
	told     int64     // of dropped, reported by Resumed
	writing  int       // bytes of the batch that the goroutine holds
	stalled  time.Time // last call of Stalled
	resumed  time.Time // last call of Resumed
	finished bool      // the goroutine takes no more
}

// Open starts the goroutine, which ends with Close.
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

// Write takes lines, to be written as soon as possible.
func (w *Writer) Write(p []byte) (int, error) {
	w.take(p, 0)
	return len(p), nil
}

// Gather takes lines that may wait for others to be written with them, for GatherTime at most.
func (w *Writer) Gather(p []byte) (int, error) {
	w.take(p, gatherBytes)
	return len(p), nil
}

// Gathering is the Writer with Gather as Write.
func (w *Writer) Gathering() io.Writer { return gathering{w} }

type gathering struct{ w *Writer }

func (g gathering) Write(p []byte) (int, error) { return g.w.Gather(p) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take keeps or drops p, and wakes the goroutine: at once if as many bytes wait as given.
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

// stalledLocked reports whether Stalled is to be called now.
func (w *Writer) stalledLocked() bool {
	now := time.Now()
	if w.cfg.Stalled == nil || !w.stalled.IsZero() && now.Sub(w.stalled) < NoticeInterval {
		return false
	}
	w.stalled = now
	return true
}

// Stats returns the counts of now.
func (w *Writer) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Stats{Lines: w.lines, Dropped: w.dropped, Waiting: len(w.pending) + w.writing}
}

// Close writes what waits and ends the goroutine. It reports whether all was written before ctx has ended. If the file still blocks by then,
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

// run is the goroutine.
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

// finish writes what waits at the end, and takes no more.
func (w *Writer) finish() {
	if w.flush() {
		w.resume(true)
		w.flush()
	}
	w.mu.Lock()
	w.finished = true
	w.mu.Unlock()
}

// flush writes until nothing waits, or gives up if the Writer is closed and the file takes nothing. It reports whether all was written.
func (w *Writer) flush() bool {
	wrote := false
	for {
		batch := w.swap()
		if wrote {
			w.resume(false) // while there is room for a line
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

// swap takes what waits, and leaves the buffer of the last batch for what comes.
func (w *Writer) swap() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	batch := w.pending
	w.pending, w.spare = w.spare, nil
	w.writing, w.urgent = len(batch), false
	if cap(batch) <= keepBytes {
		w.spare = batch[:0] // not used before the next call
	}
	return batch
}

// writeAll writes a batch piece by piece, and tries again what fails. It returns what was not written when the Writer was closed.
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

// pieceEnd returns how much of a batch is written at a time: as many whole lines as fit, so that another writer of the same file does not
// write into a line.
func pieceEnd(batch []byte) int {
	if len(batch) <= pieceBytes {
		return len(batch)
	}
	if end := bytes.LastIndexByte(batch[:pieceBytes], '\n'); end >= 0 {
		return end + 1
	}
	return pieceBytes
}

// pause waits before another attempt. It reports whether there is to be one.
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

// resume calls Resumed if lines were dropped. Unless it is the last call, calls are NoticeInterval apart.
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
