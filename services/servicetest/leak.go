package servicetest

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// leakPatience is how long goroutines and descriptors may take to end. Those of closed connections
// take a moment, and there is no event to wait for.
const leakPatience = 10 * time.Second

// Main is the body of a TestMain: it runs the tests and returns the exit code. The code is 1 if the tests passed, but
// left behind a goroutine of this project or of an HTTP server or transport, or an open file or connection. Main then
// prints what remains.
func Main(m *testing.M) int {
	before := descriptors()
	code := m.Run()
	if code != 0 {
		return code
	}
	if transport, ok := http.DefaultTransport.(*http.Transport); ok {
		transport.CloseIdleConnections() // httptest uses it
	}
	left := leftover(func() []string { return append(goroutines(), newer(before, descriptors())...) })
	if len(left) == 0 {
		return 0
	}
	fmt.Fprintf(os.Stderr, "%d goroutines and descriptors are left:\n\n%s\n", len(left), strings.Join(left, "\n\n"))
	return 1
}

// leftover calls look until it finds nothing, and returns what it found last.
func leftover(look func() []string) []string {
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(leakPatience); ; <-again.C {
		left := look()
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
	}
}

// goroutines returns the stacks of the goroutines that tests must not leave behind.
func goroutines() (left []string) {
	buf := make([]byte, 16<<20)
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(stack, "net/http") || strings.Contains(stack, "vespo-dev/vespo/") && !strings.Contains(stack, "TestMain") {
			left = append(left, stack)
		}
	}
	return left
}

// descriptors counts the open files, pipes and connections of the process by name. It returns nil on systems that do not
// list them. The Go runtime's own descriptors are left out: it opens them on first use and keeps them.
func descriptors() map[string]int {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	open := make(map[string]int)
	for _, e := range entries {
		name, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil || strings.HasPrefix(name, "anon_inode:") { // closed meanwhile, such as the one of ReadDir
			continue
		}
		open[name]++
	}
	return open
}

// newer returns the descriptors that are open now and were not before.
func newer(before, now map[string]int) (left []string) {
	for name := range maps.Keys(now) {
		if n := now[name] - before[name]; n > 0 {
			left = append(left, fmt.Sprintf("descriptor: %s (%d)", name, n))
		}
	}
	return left
}
