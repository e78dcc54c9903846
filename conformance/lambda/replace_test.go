package lambda

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReplaceUnderLoad replaces a function repeatedly under load. No request may fail.
func TestReplaceUnderLoad(t *testing.T) {
	s := serve(t, "--allow-exec")
	for range 2 {
		work(t, s.addFunction("workers"))
	}
	for name, arguments := range map[string][]string{
		"workers": {"--function"},
		"program": {"--exec", built.bootstrap, "--processes", "2"},
	} {
		t.Run(name, func(t *testing.T) {
			add := append([]string{"add", name}, arguments...)
			s.Vespo(add...)
			var over atomic.Bool
			var served atomic.Int64
			var clients sync.WaitGroup
			for range 4 {
				clients.Go(func() {
					for !over.Load() {
						if a := s.do("GET", "/"+name, ""); a.StatusCode != 201 {
							t.Errorf("%d: %s", a.StatusCode, a.body)
							return
						}
						served.Add(1)
					}
				})
			}
			for range 15 {
				s.Vespo(add...)
			}
			over.Store(true)
			clients.Wait()
			require.Positive(t, served.Load())
			t.Logf("%d requests", served.Load())
		})
	}
}
