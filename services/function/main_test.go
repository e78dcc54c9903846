package function

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain is the worker of functions where the tests are started as one. Else it fails if the tests leave a goroutine of a server, of a worker or of an endpoint behind.
func TestMain(m *testing.M) {
	if addr := os.Getenv("AWS_LAMBDA_RUNTIME_API"); addr != "" { // started as the program of a function
		os.Exit(workerMain(addr))
	}
	code := m.Run()
	if code == 0 {
		if left := leftover(); len(left) > 0 {
			fmt.Fprintf(os.Stderr, "%d goroutines are left:\n\n%s\n", len(left), strings.Join(left, "\n\n"))
			code = 1
		}
	}
	os.Exit(code)
}

// leftover gives the stacks of goroutines that do not end. Those of connections take a moment after they were closed, without any sign
// that could be waited for.
func leftover() []string {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		var left []string
		for _, stack := range stacks() {
			if strings.Contains(stack, "net/http") || strings.Contains(stack, "vespo-dev/vespo/") && !strings.Contains(stack, "TestMain") {
				left = append(left, stack)
			}
		}
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
	}
}

func stacks() []string {
	buf := make([]byte, 4<<20)
	return strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
}
