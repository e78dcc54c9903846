package audit

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/internal/durable"
)

// Config configures a Log. Zero fields take their defaults.
type Config struct {
	FS           durable.FS // required
	SegmentBytes int64      // after which a segment ends; default 1 MiB
	Bytes        int64      // of all segments; default 64 MiB
}

const (
	segmentPrefix = "audit-"
	segmentSuffix = ".jsonl"
	segmentDigits = 16
	maxSegments   = 1000 // servers that restart often have small ones
	maxRefusals   = 100  // in a row
	refusalEvery  = 10 * time.Second
)

// segment is a file with entries.
type segment struct {
	first uint64 // number of its first entry
	bytes int64
}

func (s segment) name() string {
	return fmt.Sprintf("%s%0*d%s", segmentPrefix, segmentDigits, s.first, segmentSuffix)
}

// Log is the audit log. Create it with Open.
type Log struct {
	cfg Config // immutable

	mu       sync.Mutex
	segments []segment    // guarded by mu; oldest first, the last one is open if file is set
	file     durable.File // guarded by mu; nil: the next entry begins a segment
	last     uint64       // guarded by mu: number of the latest entry
	refusals time.Time    // guarded by mu: when the kept refusals do not count any more
	omitted  uint64       // guarded by mu
}

// Open opens the log in a directory.
func Open(cfg Config) (*Log, error) {
	cfg.SegmentBytes = cmp.Or(cfg.SegmentBytes, 1<<20)
	cfg.Bytes = cmp.Or(cfg.Bytes, 64<<20)
	l := &Log{cfg: cfg}
	entries, err := cfg.FS.ReadDir(".")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		digits := strings.TrimSuffix(strings.TrimPrefix(e.Name, segmentPrefix), segmentSuffix)
		first, err := strconv.ParseUint(digits, 10, 64)
		s := segment{first: first}
		if err != nil || !e.Regular || s.name() != e.Name {
			continue
		}
		data, err := l.read(s)
		if err != nil {
			return nil, err
		}
		s.bytes = int64(len(data))
		l.segments = append(l.segments, s)
		l.last = max(l.last, s.first-1)
		each(data, func(e Entry, _ []byte) bool { l.last = max(l.last, e.N); return true })
	}
	return l, nil
}

// Close closes the log.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.endLocked()
}

func (l *Log) endLocked() error {
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// Append writes an entry, with its number and time. It is durable when Append returns nil.
func (l *Log) Append(e Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.appendLocked(e)
}

// Refuse writes an entry of a refusal. Beyond a rate, refusals are only counted, so that a client cannot push the changes
// out of the log.
func (l *Log) Refuse(e Entry) error {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refusals.Before(now) {
		l.refusals = now
	}
	if l.refusals.Sub(now) > (maxRefusals-1)*refusalEvery {
		l.omitted++
		return nil
	}
	l.refusals = l.refusals.Add(refusalEvery)
	e.Result = ResultRefused
	return l.appendLocked(e)
}

func (l *Log) appendLocked(e Entry) (err error) {
	e.N, e.Time, e.Omitted = l.last+1, time.Now().UTC(), l.omitted
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if l.file == nil {
		if err := l.beginLocked(e.N); err != nil {
			return err
		}
	}
	// The number is used up by a line that may be in the file.
	l.last = e.N
	if _, err = l.file.Write(line); err == nil {
		err = l.file.Sync()
	}
	if err != nil { // the next entry must not follow a part of this one
		return errors.Join(err, l.endLocked(), l.dropEmptyLocked())
	}
	l.omitted = 0
	current := &l.segments[len(l.segments)-1]
	current.bytes += int64(len(line))
	if current.bytes >= l.cfg.SegmentBytes {
		return l.endLocked()
	}
	return nil
}

// dropEmptyLocked removes the last segment if it has no whole entry. On a full disk, each change that is refused begins one,
// and those would push the entries out of the log.
func (l *Log) dropEmptyLocked() error {
	last := len(l.segments) - 1
	if l.segments[last].bytes > 0 {
		return nil
	}
	err := l.cfg.FS.Remove(l.segments[last].name())
	if err == nil {
		l.segments = l.segments[:last]
	}
	return err
}

// beginLocked begins a segment, and removes the oldest ones beyond the limits.
func (l *Log) beginLocked(first uint64) error {
	s := segment{first: first}
	file, err := l.cfg.FS.Create(s.name(), durable.FileMode)
	if err != nil {
		return err
	}
	if err := l.cfg.FS.SyncDir("."); err != nil {
		return errors.Join(err, file.Close(), l.cfg.FS.Remove(s.name()))
	}
	l.file, l.segments = file, append(l.segments, s)
	total := l.cfg.SegmentBytes // of the new one
	for _, s := range l.segments {
		total += s.bytes
	}
	for len(l.segments) > 1 && (total > l.cfg.Bytes || len(l.segments) > maxSegments) {
		oldest := l.segments[0]
		if err := l.cfg.FS.Remove(oldest.name()); err != nil {
			break // the next segment tries again
		}
		total -= oldest.bytes
		l.segments = l.segments[1:]
	}
	return nil
}

// Query selects entries.
type Query struct {
	After uint64    // entries with higher numbers
	Since time.Time // entries from this time on; zero: all
	Limit int       // the most entries
}

// Page returns the oldest entries that the query selects, as lines, and the number for the next query.
func (l *Log) Page(q Query) (lines []json.RawMessage, next uint64, err error) {
	l.mu.Lock()
	segments, last := append([]segment(nil), l.segments...), l.last
	l.mu.Unlock()
	next = max(q.After, last)
	for i, s := range segments {
		if i+1 < len(segments) && segments[i+1].first <= q.After+1 {
			continue
		}
		data, err := l.read(s)
		if err != nil {
			return nil, 0, err
		}
		full := false
		each(data, func(e Entry, line []byte) bool {
			if e.N <= q.After || e.N > last || e.Time.Before(q.Since) {
				return true
			}
			if full = len(lines) == q.Limit; full {
				return false
			}
			lines, next = append(lines, line), e.N
			return true
		})
		if full {
			return lines, next, nil
		}
	}
	return lines, max(next, last), nil
}

// read returns the content of a segment.
func (l *Log) read(s segment) ([]byte, error) {
	return l.cfg.FS.ReadFile(s.name(), 2*l.cfg.SegmentBytes+maxEntryBytes)
}

// maxEntryBytes is more than one entry can take.
const maxEntryBytes = 4 << 20

// each calls do with each whole entry until do returns false.
func each(data []byte, do func(Entry, []byte) bool) {
	for line := range bytes.Lines(data) {
		var e Entry
		if line[len(line)-1] != '\n' || json.Unmarshal(line, &e) != nil {
			continue
		}
		if !do(e, bytes.TrimSuffix(line, []byte("\n"))) {
			return
		}
	}
}
