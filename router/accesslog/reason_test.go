package accesslog

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
)

func TestReasonsNameNoHost(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 9000}, Err: errors.New("refused")}
	open := &fs.PathError{Op: "open", Path: "/var/lib/vespo/secret", Err: fs.ErrPermission}
	for _, c := range []struct {
		outcome Outcome
		err     error
		want    string
	}{
		{OutcomeOK, nil, ""},
		{OutcomeTrap, errors.New("unreachable"), "unreachable"},
		{OutcomeUnreachable, problem.New(problem.BadGateway, "no upstream could be reached").WithCause(dial), "Bad gateway: no upstream could be reached"},
		{OutcomeClientGone, fmt.Errorf("write the response: %w", dial), "client gone"},
		{OutcomeRefused, problem.New(problem.BadRequest, "the path is odd"), "Bad request: the path is odd"},
		{OutcomeHostError, errors.New("panic at /home/x"), "Internal server error: the server failed to answer this request; its log has the reason under the request id"},
		{OutcomeTrap, open, "trap"},
	} {
		rec := &Record{Result: Result{Outcome: c.outcome, Err: c.err}}
		require.Equal(t, c.want, rec.Reason())
		report := string(AppendReport(nil, rec, 1))
		require.NotContains(t, report, "10.1.2.3")
		require.NotContains(t, report, "secret")
	}
}
