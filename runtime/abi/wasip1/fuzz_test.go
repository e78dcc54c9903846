package wasip1

import (
	"io"
	"strings"
	"testing"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/abitest"
)

// FuzzFunctions calls arbitrary functions with arbitrary parameters and memory.
func FuzzFunctions(f *testing.F) {
	h := abitest.NewHostility(f, systemOnly{}, &abi.Environment{Mounts: []abi.Mount{tree()}}, HostModule())
	for _, seed := range h.Seeds() {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		s := h.Instance().System.(*State)
		s.Args, s.Env = []string{"a", ""}, []string{"A=b", "C=d"}
		s.Begin(strings.NewReader("some body"), io.Discard, io.Discard)
		h.Run(t, program)
	})
}
