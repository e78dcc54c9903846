package guest

import (
	"strings"
	"testing"
)

// TestPanicTextOfGoexit: outside of WebAssembly a goroutine that ends itself takes its caller along, so that only the words can
// be looked at.
func TestPanicTextOfGoexit(t *testing.T) {
	if text := panicText(nil); !strings.Contains(text, "Goexit") {
		t.Error(text)
	}
}
