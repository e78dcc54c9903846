package journal

import (
	"errors"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// The owner of a service does not see where the host has failed to connect; the operator does.
func TestOwnersSeeNoHost(t *testing.T) {
	j := opened(t, t.TempDir(), Config{})
	rec := requestOf("/a", "1", true)
	rec.Outcome = accesslog.OutcomeUnreachable
	rec.Err = problem.New(problem.BadGateway, "no upstream").WithCause(&net.OpError{Op: "dial", Addr: &net.IPAddr{IP: net.IPv4(10, 1, 2, 3)}, Err: errors.New("refused")})
	j.Of("/a")(rec)
	trap := requestOf("/a", "2", true)
	trap.Err = errors.New(`unreachable, not a "cause":`)
	j.Of("/a")(trap)
	j.drain(true)
	lines, _, err := j.Read(t.Context(), Filter{}, 10)
	require.NoError(t, err)
	require.Len(t, lines, 2)
	require.Contains(t, string(lines[0].JSON), `"cause":"Bad gateway: no upstream: dial 10.1.2.3: refused"`)
	own := string(ForOwner(lines[0].JSON))
	require.NotContains(t, own, "10.1.2.3")
	require.NotContains(t, own, "\n")
	require.Contains(t, own, `"err":"Bad gateway: no upstream"`)
	require.Equal(t, string(lines[1].JSON), string(ForOwner(lines[1].JSON)))
}
