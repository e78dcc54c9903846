package rewrite

import "fmt"

// Each instance takes host memory besides its linear memory: 8 bytes per table element, and wazero's
// data for globals and for segments that are not dropped. A small module can declare many of these.
const (
	globalFootprintBytes    = 112 // object, value and the function that sets it from outside
	referenceFootprintBytes = 128 // global of a function reference, and the function instance
	elementFootprintBytes   = 48  // function instance, and the reference in a passive segment
	segmentFootprintBytes   = 32

	// maxFootprintBytes bounds an instance without its tables.
	// Large programs of real toolchains take a few hundred KiB.
	maxFootprintBytes = 8 << 20
)

// tableElementBytes is the memory of an element of a table.
const tableElementBytes = 8

// footprint returns the host memory of an instance without its tables, and the number of segments. Separate data takes none.
func (m *module) footprint(separate bool) (bytes, segments int) {
	segments = m.elemCount
	if !separate {
		segments += m.dataSegments
	}
	return globalFootprintBytes*len(m.globals) + referenceFootprintBytes*len(m.refFuncs) +
		elementFootprintBytes*m.elementTotal + segmentFootprintBytes*segments, segments
}

// instanceBytes returns the host memory of an instance with its tables, before they have grown.
func (m *module) instanceBytes(separate bool) int {
	n, _ := m.footprint(separate)
	for _, t := range m.tables {
		n += tableElementBytes * int(t.limits.min)
	}
	return n
}

// checkFootprint refuses modules whose instances take too much host memory.
func (m *module) checkFootprint(separate bool) error {
	n, segments := m.footprint(separate)
	if n <= maxFootprintBytes {
		return nil
	}
	return &Error{
		Kind: ErrLimit,
		Detail: fmt.Sprintf("%d globals, %d segments and %d elements in segments are too many together: "+
			"each instance would take %d KiB of the host for them, at most %d are accepted",
			len(m.globals), segments, m.elementTotal, n>>10, maxFootprintBytes>>10),
	}
}

// tableMaxima returns a maximum for each table, so that all tables together have at most most
// elements. A table gets its minimum plus an equal share of the elements that the minima
// leave, or its declared maximum if that is less. Tables that cannot grow take no share.
func (m *module) tableMaxima(most uint32) ([]uint32, error) {
	left := int64(most)
	for i, t := range m.tables {
		if left -= int64(t.limits.min); left < 0 {
			return nil, &Error{
				Kind:   ErrLimit,
				Offset: t.at,
				Detail: fmt.Sprintf("table %d has %d elements, at most %d are accepted in all tables together", i, t.limits.min, most),
			}
		}
	}
	maxima := make([]uint32, len(m.tables))
	growing := int64(len(m.tables))
	for _, t := range m.tables {
		if t.limits.hasMax && t.limits.max == t.limits.min {
			growing--
		}
	}
	for i, t := range m.tables {
		maxima[i] = t.limits.min + uint32(left/max(growing, 1))
		if t.limits.hasMax {
			maxima[i] = min(maxima[i], t.limits.max)
		}
	}
	return maxima, nil
}
