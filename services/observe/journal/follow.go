package journal

import (
	"bytes"
	"sync"
)

// maxFollowerBytes is the most bytes that wait for a follower. One that does not take them in time is cut off.
const maxFollowerBytes = 1 << 20

// Follower receives the entries that a filter chooses as they are written. Close it at the end.
type Follower struct {
	Begin uint64 // number of the latest entry when it was opened; it receives later ones

	journal *Journal
	filter  Filter
	ready   chan struct{} // capacity 1

	mu    sync.Mutex
	lines []Line // guarded by mu, like all below
	bytes int
	end   End
}

// End is why a follower receives no more.
type End int

// The ends of a follower.
const (
	NotYet  End = iota
	TooSlow     // it did not take entries in time
	Stopped     // the server is about to stop
)

// Follow opens a follower. After StopFollowers, it has ended.
func (j *Journal) Follow(f Filter) *Follower {
	follower := &Follower{journal: j, filter: f, ready: make(chan struct{}, 1)}
	j.mu.Lock()
	defer j.mu.Unlock()
	if follower.Begin = j.last; j.stopped {
		follower.stopLocked(Stopped)
	}
	j.followers[follower] = struct{}{}
	return follower
}

// Close ends the follower.
func (f *Follower) Close() {
	f.journal.mu.Lock()
	defer f.journal.mu.Unlock()
	delete(f.journal.followers, f)
}

// Ready returns a channel that receives when Take has something new.
func (f *Follower) Ready() <-chan struct{} { return f.ready }

// Take returns the entries that have come, and whether the follower has ended behind them.
func (f *Follower) Take() ([]Line, End) {
	f.mu.Lock()
	defer f.mu.Unlock()
	lines := f.lines
	f.lines, f.bytes = nil, 0
	return lines, f.end
}

// offer adds an entry if the filter chooses it. The line has an end.
func (f *Follower) offer(e *Entry, line []byte) {
	if !f.filter.matches(e) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.end != NotYet {
		return
	}
	if f.bytes+len(line) > maxFollowerBytes {
		f.stopLocked(TooSlow)
		return
	}
	f.lines = append(f.lines, Line{N: e.N, JSON: bytes.TrimSuffix(bytes.Clone(line), []byte("\n"))})
	f.bytes += len(line)
	f.signal()
}

func (f *Follower) stopLocked(end End) {
	if f.end == NotYet {
		f.end = end
	}
	f.signal()
}

func (f *Follower) signal() {
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

// StopFollowers ends all followers, and later ones, so that their clients do not delay the end of the server.
func (j *Journal) StopFollowers() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stopped = true
	for f := range j.followers {
		f.mu.Lock()
		f.stopLocked(Stopped)
		f.mu.Unlock()
	}
}
