package engine

import (
	"log/slog"
	"time"
)

const (
	// MeasureEvery is the least time between two measurements of the same code. Code of 42 MB takes 0.1 to 0.2 ms.
	MeasureEvery = 30 * time.Second
	// youngPart is the least part of code that counts at the first measurement: the first request may still run.
	youngPart = 4
)

// MeasureCode finds how much of mapped code is resident, for LoadedBytes. Code that was measured less than MeasureEvery before now
// is left out. Until its first measurement, and if that fails, code counts as a whole. It must not be called on the way of a request.
func (e *Engine) MeasureCode(now time.Time) {
	due := e.codes.due(now)
	if len(due) == 0 {
		return
	}
	mappings := make([][]byte, len(due))
	for i, c := range due {
		mappings[i] = c.mapped
	}
	resident, err := e.code.resident(mappings)
	if err != nil {
		e.code.unmeasured.Do(func() {
			e.cfg.Log.Warn("the resident part of compiled code is not known; --code-memory counts all of it", slog.Any("error", err))
		})
		return
	}
	e.codes.measured(due, resident, now)
}

// MappedBytes returns the size of the files whose code is mapped. They take disk space, even if the cache has dropped them.
func (e *Engine) MappedBytes() int64 {
	e.codes.mu.Lock()
	defer e.codes.mu.Unlock()
	return e.codes.files
}

// Mapped reports whether the code of m is mapped from its file.
func (m *Module) Mapped() bool { return m.currentCode().mapped != nil }

// due returns the mapped code that is to be measured.
func (t *codeTable) due(now time.Time) (due []*sharedCode) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.open {
		if c.mapped != nil && (c.measured.IsZero() || now.Sub(c.measured) >= MeasureEvery) {
			due = append(due, c)
		}
	}
	return due
}

// measured sets what code counts. Code that was closed in between is left out: its address may belong to another mapping.
func (t *codeTable) measured(codes []*sharedCode, residentBytes []int64, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, c := range codes {
		if t.open[c.id] != c {
			continue
		}
		size := int64(len(c.mapped))
		resident := residentBytes[i]
		if c.measured.IsZero() {
			resident = max(resident, size/youngPart)
		}
		c.measured = now
		t.chargeLocked(c, c.sizeBytes-size+min(resident, size)) // the rest of the file is read
	}
}

// chargeLocked sets what code counts in t.code.
func (t *codeTable) chargeLocked(c *sharedCode, bytes int64) {
	t.code += bytes - c.charged
	c.charged = bytes
}
