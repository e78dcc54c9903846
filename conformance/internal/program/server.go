package program

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// Server is a running vespo.
type Server struct {
	*Process
	URL  string // immutable; without a slash at the end
	path string // immutable; of the executable
}

// Serve starts a server with a data directory of its own on a free port of the loopback address, and returns it once it
// is ready. A flag in args replaces the default of the same name.
func Serve(t *testing.T, vespo string, args ...string) *Server {
	t.Helper()
	defaults := []string{"serve", "--listen", "127.0.0.1:0", "--data", t.TempDir()}
	p := Start(t, os.Environ(), vespo, append(defaults, args...)...)
	return &Server{Process: p, URL: p.Line(`^listening on (https?://\S+)$`), path: vespo}
}

// Vespo runs a command of vespo against the server, which must succeed, and returns its output.
func (s *Server) Vespo(args ...string) string {
	s.T.Helper()
	cmd := exec.Command(s.path, args...)
	cmd.Env = append(os.Environ(), "VESPO_SERVER="+s.URL)
	out, err := cmd.CombinedOutput()
	require.NoError(s.T, err, "%s", out)
	return string(out)
}
