// Package program builds the vespo command and the clients of the conformance tests, and runs them as processes.
package program

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Source is a main package to build: Dir is a directory of its module, Package its path from there.
type Source struct{ Dir, Package string }

// Vespo is the vespo command, for tests in a package directly below conformance.
var Vespo = Source{Dir: "../..", Package: "./cmd/vespo"}

// Main is the body of a TestMain: it builds each source, stores the paths of the executables at the keys, runs the tests
// and removes the executables. It returns the exit code.
func Main(m *testing.M, sources map[*string]Source) int {
	dir, err := os.MkdirTemp("", "vespo-conformance-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	for path, s := range sources {
		*path = filepath.Join(dir, filepath.Base(s.Package))
		cmd := exec.Command("go", "build", "-o", *path, s.Package)
		cmd.Dir = s.Dir
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n%s", cmd, err, out)
			return 1
		}
	}
	return m.Run()
}
