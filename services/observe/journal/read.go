package journal

import (
	"bytes"
	"context"
	"slices"
)

// maxReadBytes is the most bytes of lines that Read returns.
const maxReadBytes = 16 << 20

// Line is an entry in its JSON form.
type Line struct {
	N    uint64
	JSON []byte // without a line end
}

// Read returns the latest entries that the filter chooses, in order, and at most limit. It reports whether there are more.
// It writes the entries that wait for that before.
func (j *Journal) Read(ctx context.Context, f Filter, limit int) (lines []Line, more bool, err error) {
	j.drain(false)
	for _, s := range j.snapshot(&f) {
		own, ownMore, err := j.readService(ctx, s, &f, limit)
		if err != nil {
			return nil, false, err
		}
		lines = append(lines, own...)
		slices.SortFunc(lines, func(a, b Line) int {
			if a.N < b.N {
				return -1
			}
			return 1
		})
		cut := 0
		for size := sizeOf(lines); len(lines)-cut > limit || size > maxReadBytes; cut++ {
			size -= len(lines[cut].JSON)
		}
		more = more || ownMore || cut > 0
		lines = slices.Delete(lines, 0, cut)
	}
	return lines, more, nil
}

func sizeOf(lines []Line) (n int) {
	for _, l := range lines {
		n += len(l.JSON)
	}
	return n
}

// snapshot returns copies of the stores that the filter chooses.
func (j *Journal) snapshot(f *Filter) (all []store) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for name, s := range j.stores {
		if f.Service == nil || f.Service(name) {
			all = append(all, store{dir: s.dir, segments: slices.Clone(s.segments)})
		}
	}
	return all
}

// readService returns the latest entries of a service.
func (j *Journal) readService(ctx context.Context, s store, f *Filter, limit int) (lines []Line, more bool, err error) {
	size := 0
	for i, one := range slices.Backward(s.segments) {
		if f.Until > 0 && one.first > f.Until {
			continue
		}
		if next := i + 1; next < len(s.segments) && s.segments[next].first <= f.After+1 { // all before
			break
		}
		if len(lines) >= limit || size > maxReadBytes {
			return lines, true, nil
		}
		var own []Line
		err := readSegment(j.root, s.path(one), func(line []byte) bool {
			if !f.mayMatch(line) {
				return ctx.Err() == nil
			}
			if e, ok := parse(line); ok && f.matches(&e) {
				own = append(own, Line{N: e.N, JSON: bytes.Clone(line)})
			}
			return ctx.Err() == nil
		})
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, false, err
		}
		size += sizeOf(own)
		lines = append(own, lines...)
	}
	return lines, false, nil
}
