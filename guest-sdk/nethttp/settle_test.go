package nethttp

import "testing"

// TestSettleConverts checks that settle runs, and with which interfaces it does: a type that lost one would be slower to use.
func TestSettleConverts(t *testing.T) {
	settle()
	if n := convertible(&responseWriter{}); n != 4 { // Writer, ReaderFrom, StringWriter, Flusher
		t.Errorf("a response implements %d of the interfaces", n)
	}
	if n := convertible(&body{}); n != 3 { // Reader, Closer, ReadCloser
		t.Errorf("a body implements %d of the interfaces", n)
	}
}
