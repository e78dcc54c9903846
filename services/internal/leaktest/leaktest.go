// Package leaktest detects goroutines that the tests of a package leave behind.
package leaktest

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// patience is how long goroutines may take to end. Goroutines of closed connections
// take a moment, and there is no event to wait for.
const patience = 10 * time.Second

// Check is for use in TestMain. It returns code, or 1 if the tests passed but left a goroutine
// of this project or of an HTTP server or transport behind. It then prints the stacks.
func Check(code int) int {
	if code != 0 {
		return code
	}
	left := leftover()
	if len(left) == 0 {
		return 0
	}
	fmt.Fprintf(os.Stderr, "%d goroutines are left:\n\n%s\n", len(left), strings.Join(left, "\n\n"))
	return 1
}

// leftover returns the stacks of goroutines that do not end.
func leftover() []string {
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(patience); ; <-again.C {
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
	buf := make([]byte, 16<<20)
	return strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
}
