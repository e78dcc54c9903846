package kv

// MaxScan is the number of keys that an implementation reads for one page, including expired ones.
const MaxScan = 10_000

// maxReadBytes bounds the entries that are read for one page, also if their values are not part of it: they have checksums.
const maxReadBytes = 32 << 20

// Filler collects a page within the limits of a query.
type Filler struct {
	query   Query
	page    Page
	scanned int
	read    int64 // bytes of the entries that were scanned
	bytes   int   // of the page
}

// NewFiller returns a Filler for a query.
func NewFiller(q Query) *Filler { return &Filler{query: q} }

// Add adds the next key in order. present is false if it has expired. It returns false if the key belongs to the next page.
func (f *Filler) Add(e Entry, present bool) bool {
	if len(f.page.Entries) == f.query.Limit || f.scanned == MaxScan || f.bytes > MaxPageBytes || f.read > maxReadBytes {
		return false
	}
	f.scanned++
	f.read += e.SizeBytes
	f.page.Next = e.Key
	if !present {
		return true
	}
	if !f.query.Values {
		e.Value = nil
	}
	f.bytes += len(e.Key) + len(e.Value) + len(e.Metadata)
	f.page.Entries = append(f.page.Entries, e)
	return true
}

// Page returns the page. last is true if Add has seen all keys.
func (f *Filler) Page(last bool) Page {
	if last {
		f.page.Next = ""
	}
	return f.page
}
