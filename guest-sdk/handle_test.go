package guest

import (
	"strings"
	"testing"
)

// TestPanicTextOfGoexit tests only the message. Outside WebAssembly, runtime.Goexit in a handler would also end the
// goroutine of the test.
func TestPanicTextOfGoexit(t *testing.T) {
	if text := panicText(nil); !strings.Contains(text, "Goexit") {
		t.Error(text)
	}
}
